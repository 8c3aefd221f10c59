import Cluster
import FileTimes
import Glibc
import Mail

// A tombstone ends in this order, so that no crash and no failure shows a message again that its reader deleted:
//
// | done                                        | on disk after a crash     | why that is safe                            |
// |---------------------------------------------|---------------------------|---------------------------------------------|
// | files of its messages removed, and of what  | the tombstone             | it hides what is left                       |
// | has the content of one of them              |                           |                                             |
// | new/ and cur/ seen at rest, without them    | the same                  | the same                                    |
// | new/ and cur/ synced                        | the same, no files        | nothing needs it any more                   |
// | tombstone removed                           | a tombstone, or none      | the same                                    |

/// Removes tombstone files after their time, when nothing can bring the messages back any more. What has a deleted
/// message's content may have come as much later as the resend window lasts, so that is added to the grace time (see
/// `StoreOptions.tombstoneAge`). Those stay that are not to be forgotten yet, and those that wait for another site, which has
/// not heard of them.
struct TombstoneExpiry {
    let core: StoreCore
    let grace: Duration

    /// How many lines' messages are looked for at once.
    private static let linesMax = 50_000
    private static let passesMax = 4

    func expire() throws(MaildirError) -> MaintenanceReport {
        let limit = try core.ages.limit(core, age: grace + core.options.resendWindow.duration)
        var report = MaintenanceReport()
        try report.forEachMailbox(in: core.tops(), core) { folder, mailbox, removed throws(MaildirError) in
            removed += try expire(in: mailbox, folder, limit)
        }
        return report
    }

    private func expire(in mailbox: OpenFile, _ folder: MailboxFolder, _ limit: FileTime) throws(MaildirError) -> Int {
        var old: [[UInt8]] = []
        try Tombstones.forEachFile(in: mailbox) { name throws(MaildirError) in
            if try isOld(name, in: mailbox, limit) { old.append(name) }
        }
        var removed = 0
        var next = 0
        while next < old.count {
            var names: [[UInt8]] = []
            var deleted = DeletedMessages(window: core.options.resendWindow)
            while next < old.count, deleted.count < Self.linesMax {
                try Tombstones.forEachLine(of: old[next], in: mailbox, core) { deleted.add($0) }
                names.append(old[next])
                next += 1
            }
            try removeForGood(deleted, from: mailbox, folder)
            for name in names {
                let number = core.unlink(Array("gone/".utf8) + name, in: mailbox)
                if number == 0 { removed += 1 }
                if number != 0, number != ENOENT {
                    throw .failed(operation: "unlink", path: "\(folder.path)/gone", errno: number)
                }
            }
        }
        return removed
    }

    /// Files are kept unless both their names and their times on disk are before the limit.
    private func isOld(_ name: [UInt8], in mailbox: OpenFile, _ limit: FileTime) throws(MaildirError) -> Bool {
        let seconds = name.withUnsafeBytes { MessageNameBytes($0)?.seconds }
        guard let seconds, seconds < core.forgets(before: limit) else { return false }
        return try withPath(Array("gone/".utf8) + name) { path in
            var status = stat()
            return fstatat(mailbox.descriptor, path, &status, AT_SYMLINK_NOFOLLOW) == 0
                && status.st_mode & S_IFMT == S_IFREG && FileTime(status.st_mtim) < limit
        }
    }

    /// Durably. Throws unless the mailbox was seen at rest without them.
    private func removeForGood(
        _ deleted: DeletedMessages, from mailbox: OpenFile, _ folder: MailboxFolder
    ) throws(MaildirError) {
        var last: DirectoryStamps?
        for _ in 0..<Self.passesMax {
            let start = FileTime.coarse()
            let before = try core.stamps(of: mailbox)
            if try removeAll(deleted, from: mailbox, folder), try core.stamps(of: mailbox) == before {
                let isSettled = !before.isRemote && before.areSettled(at: start, margin: core.options.clockMargin)
                if isSettled || (before.isRemote && last == before) { return try sync(mailbox) }
                last = before
            } else {
                last = nil
            }
            Self.rest(core.options.clockMargin + .milliseconds(20))
        }
        throw .failed(operation: "expire tombstones of", path: folder.path, errno: EBUSY)
    }

    /// Whether none of them was there.
    private func removeAll(
        _ deleted: DeletedMessages, from mailbox: OpenFile, _ folder: MailboxFolder
    ) throws(MaildirError) -> Bool {
        var isEmpty = true
        var failure: Int32 = 0
        try MailboxScan(mailbox: mailbox, core: core).forEachFile { identity, part, name in
            guard deleted.contains(identity, name: name) else { return }
            isEmpty = false
            let number = core.unlink(Array("\(part)/".utf8) + name, in: mailbox)
            if number != 0, number != ENOENT { failure = number }
        }
        if failure != 0 { throw .failed(operation: "unlink", path: folder.path, errno: failure) }
        return isEmpty
    }

    private func sync(_ mailbox: OpenFile) throws(MaildirError) {
        for part in ["new", "cur"] {
            _ = try ifThere { () throws(MaildirError) in
                try OpenFile.openDirectory(part, in: mailbox.descriptor).sync(part)
            }
        }
    }

    private static func rest(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        nanosleep(&time, nil)
    }
}
