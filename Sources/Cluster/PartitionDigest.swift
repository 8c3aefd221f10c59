package import Mail

/// What replicas of a partition compare first: the mailboxes in it, and what each comes to. It does not depend on order.
package struct PartitionDigest: Hashable, Sendable {
    private var mailboxes = 0
    private var sum: UInt64 = 0
    private var mixedSum: UInt64 = 0

    package init() {}

    package init(_ digests: [MailboxName: MailboxDigest]) {
        for (mailbox, digest) in digests { add(mailbox, digest) }
    }

    /// An empty mailbox counts as one that is not there.
    package mutating func add(_ mailbox: MailboxName, _ digest: MailboxDigest) {
        guard !digest.isEmpty else { return }
        mailboxes += 1
        let hash = StableHash.xxh64("\(mailbox) \(digest)")
        sum &+= hash
        mixedSum &+= StableHash.affinity(node: hash, partition: 0) ^ StableHash.affinity(node: hash, partition: 1) &<< 1
    }
}

extension PartitionDigest: CustomStringConvertible {
    /// As it goes over the wire: one word.
    package var description: String { "\(mailboxes).\(sum).\(mixedSum)" }
}
