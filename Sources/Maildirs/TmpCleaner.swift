import Glibc

/// Removes what crashes left in `tmp/`: files that nobody touched for long, as qmail does after 36 hours.
struct TmpCleaner {
    let core: StoreCore
    let age: Duration

    func clean() throws(MaildirError) -> MaintenanceReport {
        let limit = try serverTime().minus(age)
        var report = MaintenanceReport()
        for top in try core.tops() {
            try StoreWalk(core: core, top: top).forEachMailbox(
                { folder, mailbox throws(MaildirError) in
                    report.mailboxes += 1
                    let directory = try ifThere { () throws(MaildirError) in try OpenDirectory("tmp", in: mailbox) }
                    while let directory, let entry = try directory.next() {
                        try Self.removeIfOld(entry, directory.descriptor, limit, &report)
                    }
                    return true
                }, failed: { report.failures.append($0) })
        }
        return report
    }

    private static func removeIfOld(
        _ entry: OpenDirectory.Entry, _ tmp: Int32, _ limit: FileTime, _ report: inout MaintenanceReport
    ) throws(MaildirError) {
        guard entry.mayBeFile, entry.name.first != UInt8(ascii: ".") else { return }
        try withPath(Array(entry.name)) { name in
            var status = stat()
            guard fstatat(tmp, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFREG,
                max(FileTime(status.st_atim), FileTime(status.st_mtim)) < limit
            else { return }
            if unlinkat(tmp, name, 0) == 0 { report.removed += 1 }
        }
    }

    /// The time that the file system gives a file made now: this host's clock may be wrong, and would then take files that
    /// are being written for old ones.
    private func serverTime() throws(MaildirError) -> FileTime {
        let root = core.root.directory
        let name = ".clock-\(getpid())-\(UInt64.random(in: .min ... .max))"
        let file = try OpenFile.open(name, in: root.descriptor, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        defer { unlinkat(root.descriptor, name, 0) }
        return FileTime(try file.status().st_mtim)
    }
}

/// What a round of maintenance did.
package struct MaintenanceReport: Hashable, Sendable {
    package var mailboxes = 0
    package var removed = 0
    /// Mailboxes that could not be looked at, and why.
    package var failures: [MaildirError] = []
}
