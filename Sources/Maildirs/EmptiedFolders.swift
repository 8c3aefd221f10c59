import FileTimes
import Glibc

/// Removes the folders of mailboxes in which nothing waits for a node any more: whoever asks what waits looks through each.
///
/// Those that changed lately stay, so that who delivers there seldom has to make anew what goes under his hands.
struct EmptiedFolders {
    let core: StoreCore
    let age: Duration

    func remove() throws(MaildirError) -> MaintenanceReport {
        let limit = try core.ages.limit(core, age: age)
        var report = MaintenanceReport()
        let tops = try Handoff.targets(core).map { MailboxFolder.top($0) }
        try report.forEachMailbox(in: tops, core) { folder, spool, removed throws(MaildirError) in
            guard try !Handoff.isWaiting(in: spool, core), try isOld(spool, limit) else { return }
            try core.root.withDirectory { root throws(MaildirError) in
                if try folder.removeEmpty(in: root) { removed += 1 }
            }
        }
        return report
    }

    /// Whether nothing came into it or went since.
    private func isOld(_ spool: OpenFile, _ limit: FileTime) throws(MaildirError) -> Bool {
        guard FileTime(try spool.status().st_mtim) < limit else { return false }
        for part in MailboxFolder.parts {
            var status = stat()
            if fstatat(spool.descriptor, part, &status, AT_SYMLINK_NOFOLLOW) == 0 {
                if FileTime(status.st_mtim) >= limit { return false }
            } else if errno != ENOENT {
                throw .failed("fstatat", part)
            }
        }
        return true
    }
}
