import Glibc

// A site's spool that is as full as it may be takes nothing more. What should have come in is delivered all the same:
//
// | done                              | on disk after a crash     | why that is safe                                    |
// |-----------------------------------|---------------------------|-----------------------------------------------------|
// | the mark needs-sync is durable    | the mark                  | a comparison in vain                                |
// | the message or tombstone is in    | the same, perhaps with    | whoever compares sees it, or it comes again         |
// | its mailbox, durably              | what was delivered        |                                                     |
// | the mark is looked for once more, | the same                  | a comparison that begins after this sees it; one    |
// | and made anew if it is not there  |                           | that began before leaves the new mark               |
// | answered                          | both                      | it is in the mailbox, and the mark says that it is  |
// |                                   |                           | not in the spool                                    |

extension StoreCore {
    /// Whether something is left out of a site's spool. Where that cannot be remembered, the spool grows beyond its bound.
    func leavesOut(_ folder: MailboxFolder) -> Bool {
        guard gauges.isFull(folder) else { return false }
        do throws(MaildirError) {
            try confirm(leftOut: [folder])
            return true
        } catch {
            return false
        }
    }

    /// Makes sure that it is remembered, for good, that something is not in the spools.
    func confirm(leftOut folders: [MailboxFolder]) throws(MaildirError) {
        for site in folders.compactMap(\.target) { try SiteMarks(site: site, core: self).keep(.needsSync) }
    }
}

/// Goes slowly through what waits for a site, to correct what is believed of it.
struct SpoolCount {
    let target: SpoolTarget
    let core: StoreCore

    /// Counts in the next mailboxes. The last of them; nil if that was all.
    func count(after last: MailboxKey?, mailboxes: Int) throws(MaildirError) -> MailboxKey? {
        if last == nil { core.gauges.walkBegan(target) }
        let start = last.map { MailboxFolder($0.mailbox, partition: $0.partition, heldFor: target).path }
        var reached: MailboxKey?
        var visited = 0
        try StoreWalk(core: core, top: MailboxFolder.top(target), start: start).forEachMailbox(
            { folder, spool throws(MaildirError) in
                guard let key = folder.key else { return true }
                core.gauges.counted(try files(in: spool), in: folder, for: target)
                reached = key
                visited += 1
                return visited < mailboxes
            }, failed: { _ in })
        if visited < mailboxes {
            core.gauges.walkEnded(target)
            return nil
        }
        return reached
    }

    private func files(in spool: OpenFile) throws(MaildirError) -> Int {
        var count = 0
        for part in ["new", "cur", "gone"] {
            let directory = try core.directory(part, in: spool)
            while let entry = try directory?.next() {
                if entry.mayBeFile, entry.name.first != UInt8(ascii: ".") { count += 1 }
            }
        }
        return count
    }
}
