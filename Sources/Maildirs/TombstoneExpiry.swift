import Glibc
import Mail

/// Removes tombstone files after the grace time, when nothing can bring the messages back any more.
struct TombstoneExpiry {
    let core: StoreCore
    /// Files are kept unless both their names and their times on disk are before it.
    let limit: FileTime

    func expire() throws(MaildirError) -> MaintenanceReport {
        var report = MaintenanceReport()
        try StoreWalk(core: core).forEachMailbox(
            { folder, mailbox throws(MaildirError) in
                report.mailboxes += 1
                var old: [[UInt8]] = []
                try Tombstones.forEachFile(in: mailbox) { name throws(MaildirError) in
                    if try isOld(name, in: mailbox) { old.append(name) }
                }
                if old.isEmpty { return true }
                // A file that a crash left behind its tombstone must not come back with the tombstone's end.
                try Listing.removeDeleted(from: mailbox, core: core)
                for name in old where try remove(name, in: mailbox) { report.removed += 1 }
                return true
            }, failed: { report.failures.append($0) })
        return report
    }

    private func isOld(_ name: [UInt8], in mailbox: OpenFile) throws(MaildirError) -> Bool {
        let seconds = name.withUnsafeBytes { MessageNameBytes($0)?.seconds }
        guard let seconds, seconds < limit.seconds else { return false }
        return try withPath(Array("gone/".utf8) + name) { path in
            var status = stat()
            return fstatat(mailbox.descriptor, path, &status, AT_SYMLINK_NOFOLLOW) == 0
                && status.st_mode & S_IFMT == S_IFREG && FileTime(status.st_mtim) < limit
        }
    }

    private func remove(_ name: [UInt8], in mailbox: OpenFile) throws(MaildirError) -> Bool {
        try withPath(Array("gone/".utf8) + name) { unlinkat(mailbox.descriptor, $0, 0) == 0 }
    }
}
