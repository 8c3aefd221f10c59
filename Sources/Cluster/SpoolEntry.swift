/// A message that waits in a spool, as its directory's listing tells it.
package struct SpoolEntry: Hashable, Sendable, Comparable {
    /// The file's name: different for all messages of the spool.
    package var name: String
    /// When the message was born, in seconds since 1970 in UTC.
    package var birth: Int64
    package var bytes: Int
    /// Whose messages are to stay in their order: a mailbox, or a recipient.
    package var mailbox: String

    package init(name: String, birth: Int64, bytes: Int = 0, mailbox: String = "") {
        self.name = name
        self.birth = birth
        self.bytes = bytes
        self.mailbox = mailbox
    }

    /// Older ones first.
    package static func < (left: SpoolEntry, right: SpoolEntry) -> Bool {
        (left.birth, left.name) < (right.birth, right.name)
    }
}
