import Glibc

/// Looks which messages that may have been delivered before are in the mailbox, or were deleted from it.
struct RepeatSearch {
    let mailbox: OpenFile
    let core: StoreCore

    /// Those that are there or tombstoned. Whatever made them so is durable then: another process may have made it a moment
    /// ago, and not have synced it yet.
    func findDurable(_ messages: [NamedMessage]) throws(MaildirError) -> Set<[UInt8]> {
        var found = try Tombstones.find(messages, in: mailbox, core.options.resendWindow)
        let left = Set(messages.map(\.identity)).subtracting(found)
        if !left.isEmpty { found.formUnion(try MailboxScan(mailbox: mailbox, core: core).paths(of: left).keys) }
        if found.isEmpty { return found }
        try MailboxFolder.syncNames(in: mailbox, core)
        return found
    }
}
