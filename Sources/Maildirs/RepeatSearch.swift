import Glibc
import Mail

/// Looks whether a message that may have been delivered before is in the mailbox, or was deleted from it.
struct RepeatSearch {
    let mailbox: OpenFile

    /// Whether the identity is there or tombstoned. If so, whatever made it so is durable: another process may have made
    /// it a moment ago, and not have synced it yet.
    func findDurable(_ identity: MessageIdentity) throws(MaildirError) -> Bool {
        let stem = Array(identity.text.utf8)
        var isThere = try isTombstoned(stem)
        for part in ["new", "cur"] where !isThere {
            isThere = try find(stem, in: part)
        }
        guard isThere else { return false }
        for part in ["new", "cur", "gone"] {
            _ = try ifThere { () throws(MaildirError) in
                try OpenFile.openDirectory(part, in: mailbox.descriptor).sync(part)
            }
        }
        return true
    }

    private func isTombstoned(_ stem: [UInt8]) throws(MaildirError) -> Bool {
        try Tombstones.exact(in: mailbox).contains(stem.withUnsafeBytes(StemIdentity.bytes))
    }

    private func find(_ stem: [UInt8], in part: String) throws(MaildirError) -> Bool {
        try StemSearch.name(of: stem, in: part, of: mailbox) != nil
    }
}

/// Finds a message by what all its names have in common.
enum StemSearch {
    /// The message's file name in `new/` or `cur/` now; nil if it is not there.
    static func name(of stem: [UInt8], in part: String, of mailbox: OpenFile) throws(MaildirError) -> [UInt8]? {
        let directory = try ifThere { () throws(MaildirError) in
            try OpenDirectory(part, in: mailbox)
        }
        while let entry = try directory?.next() {
            if MessageNameBytes.stemLength(of: entry.name) == stem.count, entry.name.starts(with: stem) {
                return Array(entry.name)
            }
        }
        return nil
    }
}
