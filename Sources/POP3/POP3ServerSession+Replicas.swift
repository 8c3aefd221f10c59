package import Mail

/// What nodes ask each other, so that the replicas of a mailbox converge: digests, tombstones, and what waits in handoff.
extension POP3ServerSession {
    mutating func ask(_ action: Action) -> Action {
        awaited = .replica
        return action
    }

    /// The digest of the mailbox, and how much waits in it for other nodes; both stand behind the `+OK`.
    package mutating func digested(_ digest: String, held: Int) { answerReplica("\(digest) \(held)") }

    /// What waited has been brought to the node that asked.
    package mutating func drained(_ count: Int) { answerReplica("\(count) brought") }

    /// What waits for a relay is being sent: how many messages.
    package mutating func flushed(_ count: Int) { answerReplica("\(count) waiting") }

    /// What became of a message of a queue is known for good.
    package mutating func relayed() { answerReplica("noted") }

    /// Words `key=value`.
    package mutating func statusTold(_ words: String) { answerReplica(words) }

    /// Words `key=value`.
    package mutating func repaired(_ words: String) { answerReplica(words) }

    /// What came of an order: words `key=value`.
    package mutating func siteOrdered(_ words: String) { answerReplica(words) }

    /// Each mailbox of the partition with its digest; nil if together they come to the digest that was given.
    package mutating func partitionListed(_ mailboxes: [(name: MailboxName, digest: String)]?) {
        guard answered(.replica) else { return }
        output.ok(mailboxes.map { "\($0.count) mailboxes" } ?? "the same")
        for mailbox in mailboxes ?? [] {
            output.line(PartitionListing.line(mailbox.name, mailbox.digest))
        }
        output.line(".")
    }

    /// The names of the open mailbox's tombstones.
    package mutating func tombstonesListed(_ names: [String]) {
        guard answered(.replica) else { return }
        output.ok("\(names.count) tombstones")
        for name in names { output.line(name) }
        output.line(".")
    }

    /// The identities that a tombstone names, each ended by LF; nil if it is not there any more.
    package mutating func tombstoneRead(_ lines: [UInt8]?) {
        guard answered(.replica) else { return }
        guard let lines else { return output.error("no such tombstone", code: nil) }
        output.ok("tombstone follows")
        for line in lines.split(separator: lineFeed) {
            output.append(String(decoding: line, as: UTF8.self))
            output.endLine()
        }
        output.line(".")
    }

    /// The connection carries streams from now on.
    package mutating func streamsBegin() {
        guard answered(.replica) else { return }
        phase = .handedOver
        output.ok("streams follow")
    }

    /// What was asked cannot be told or done now.
    package mutating func replicaFailed(_ text: String) {
        guard answered(.replica) else { return }
        output.error(text, code: .systemTemporary)
    }

    private mutating func answerReplica(_ text: String) {
        guard answered(.replica) else { return }
        output.ok(text)
    }
}
