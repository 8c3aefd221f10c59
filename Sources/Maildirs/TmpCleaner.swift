import FileTimes
import Glibc

/// Removes what crashes left in `tmp/`, and in the root: files that nobody touched for long, as qmail does after 36 hours.
struct TmpCleaner {
    let core: StoreCore
    let age: Duration

    func clean() throws(MaildirError) -> MaintenanceReport {
        let limit = try core.ages.limit(core, age: age)
        var report = MaintenanceReport()
        try StoreLeftovers(root: core.root.directory, limit: limit).remove(&report)
        try report.forEachMailbox(in: core.tops() + core.siteTops(), core) { _, mailbox, removed throws(MaildirError) in
            let directory = try core.directory("tmp", in: mailbox)
            while let directory, let entry = try directory.next() {
                if try Self.removeIfOld(entry, directory.descriptor, limit) { removed += 1 }
            }
        }
        return report
    }

    static func removeIfOld(
        _ entry: OpenDirectory.Entry, _ tmp: Int32, _ limit: FileTime
    ) throws(MaildirError) -> Bool {
        guard entry.mayBeFile, entry.name.first != UInt8(ascii: ".") else { return false }
        return try withPath(Array(entry.name)) { name in
            var status = stat()
            guard fstatat(tmp, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFREG,
                max(FileTime(status.st_atim), FileTime(status.st_mtim)) < limit
            else { return false }
            return unlinkat(tmp, name, 0) == 0
        }
    }
}

/// What the store itself makes in its root for a moment, and a crash may leave there.
struct StoreLeftovers {
    let root: OpenFile
    let limit: FileTime

    static let probe = ".probe-"
    static let clock = ".clock-"
    static let marker = ".\(StoreMarker.fileName)."
    static let mark = ".\(SiteMarks.top)-"
    /// What the probe makes in its folder.
    static let probeFiles = ["a", "b", "c"]

    func remove(_ report: inout MaintenanceReport) throws(MaildirError) {
        let directory = try OpenDirectory(".", in: root)
        while let entry = try directory.next() {
            guard let name = String(validating: entry.name, as: UTF8.self),
                [Self.probe, Self.clock, Self.marker, Self.mark].contains(where: { name.hasPrefix($0) })
            else { continue }
            var status = stat()
            guard fstatat(root.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
                FileTime(status.st_mtim) < limit
            else { continue }
            if remove(name, isFolder: status.st_mode & S_IFMT == S_IFDIR) { report.removed += 1 }
        }
    }

    private func remove(_ name: String, isFolder: Bool) -> Bool {
        guard isFolder else { return unlinkat(root.descriptor, name, 0) == 0 }
        for file in Self.probeFiles { unlinkat(root.descriptor, "\(name)/\(file)", 0) }
        return unlinkat(root.descriptor, name, AT_REMOVEDIR) == 0
    }
}

/// What a round of maintenance did.
package struct MaintenanceReport: Hashable, Sendable {
    package var mailboxes = 0
    package var removed = 0
    /// Mailboxes and folders that could not be looked at, and why.
    package var failures: [MaildirError] = []
}

extension MaintenanceReport {
    /// Does `work` in each mailbox below these folders, which counts what it removes. What fails is in the report.
    mutating func forEachMailbox(
        in tops: [String], _ core: StoreCore,
        _ work: (_ folder: MailboxFolder, _ mailbox: OpenFile, _ removed: inout Int) throws(MaildirError) -> Void
    ) throws(MaildirError) {
        for top in tops {
            try StoreWalk(core: core, top: top).forEachMailbox(
                { folder, mailbox throws(MaildirError) in
                    mailboxes += 1
                    try work(folder, mailbox, &removed)
                    return true
                }, failed: { failures.append($0) })
        }
    }
}
