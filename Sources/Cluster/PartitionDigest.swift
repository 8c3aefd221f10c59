package import Mail

/// What replicas of a partition compare first: the mailboxes in it, and what each comes to. It does not depend on order.
package struct PartitionDigest: Hashable, Sendable {
    private var mailboxes = 0
    private var sum = UnorderedSum()

    /// An empty mailbox counts as one that is not there.
    package init(_ digests: [MailboxName: MailboxDigest]) {
        for (mailbox, digest) in digests where !digest.isEmpty {
            mailboxes += 1
            sum.add(StableHash.xxh64("\(mailbox) \(digest)"))
        }
    }
}

extension PartitionDigest: CustomStringConvertible {
    /// As it goes over the wire: one word.
    package var description: String { "\(mailboxes).\(sum.hexadecimal)" }
}
