package import Mail

/// The delivery of one message to the owners of each recipient's mailbox: what its nodes say goes in, and each
/// recipient's verdict comes out, exactly once.
///
/// - W owners accepted: accepted, at once.
/// - All owners refused: refused.
/// - W owners cannot accept any more, and not all refused: deferred. One copy that exists, or one owner that may have the
///   message later, is reason enough not to tell the sender "never".
///
/// So while everything that was heard is a refusal, the owners that are still silent are waited for.
package struct DeliveryQuorum: Sendable {
    /// The verdict of one recipient.
    package struct Decision: Sendable, Equatable {
        package let recipient: Int
        package let verdict: Verdict

        package init(recipient: Int, verdict: Verdict) {
            self.recipient = recipient
            self.verdict = verdict
        }
    }

    private var recipients: [Recipient]
    private let quorum: Int
    private var undecided: Int

    /// - Parameters:
    ///   - owners: for each recipient the nodes that its message was given to: W to 64 of them, none twice.
    ///   - quorum: W, at least 1.
    package init(owners: [[Ring.NodeIndex]], quorum: Int) {
        precondition(quorum >= 1, "a quorum of \(quorum)")
        for nodes in owners {
            precondition((quorum...64).contains(nodes.count), "\(nodes.count) owners for a quorum of \(quorum)")
        }
        recipients = owners.map(Recipient.init(owners:))
        self.quorum = quorum
        undecided = owners.count
    }

    /// Whether every recipient has its verdict.
    package var isDecided: Bool { undecided == 0 }

    /// The verdicts so far, in the order of the recipients.
    package var verdicts: [Verdict?] { recipients.map(\.decided) }

    /// The nodes whose answer could still matter to somebody.
    package var awaited: [Ring.NodeIndex] {
        Set(recipients.lazy.filter { $0.decided == nil }.flatMap(\.silent)).sorted()
    }

    /// An owner answered for one recipient. What is not awaited (a second answer, a stranger's, a late one) changes
    /// nothing.
    package mutating func answered(
        node: Ring.NodeIndex, recipient: Int, _ verdict: Verdict
    ) -> Decision? {
        guard recipients.indices.contains(recipient), recipients[recipient].take(verdict, from: node) else {
            return nil
        }
        return decide(recipient)
    }

    /// The connection to a node broke: it answers for no recipient any more, and may or may not have stored copies.
    package mutating func nodeLost(
        _ node: Ring.NodeIndex, reason: Reason = Reason(451, "4.4.2", "storage node lost, try again later")
    ) -> [Decision] {
        recipients.indices.compactMap { answered(node: node, recipient: $0, .deferred(reason)) }
    }

    /// The time for this message is over: whoever is silent now has deferred it.
    package mutating func timedOut(
        reason: Reason = Reason(451, "4.4.1", "storage node does not answer, try again later")
    ) -> [Decision] {
        recipients.indices.compactMap { index in
            guard recipients[index].decided == nil else { return nil }
            for node in recipients[index].silent { _ = recipients[index].take(.deferred(reason), from: node) }
            return decide(index)
        }
    }

    private mutating func decide(_ index: Int) -> Decision? {
        guard recipients[index].decided == nil, let verdict = recipients[index].verdict(quorum) else { return nil }
        recipients[index].decided = verdict
        undecided -= 1
        return Decision(recipient: index, verdict: verdict)
    }
}

extension DeliveryQuorum {
    /// What is known for one recipient.
    private struct Recipient {
        let owners: [Ring.NodeIndex]
        var decided: Verdict?
        private var heard: UInt64 = 0
        private var accepted = 0
        private var refused = 0
        private var deferral: Reason?
        private var refusal: Reason?

        init(owners: [Ring.NodeIndex]) { self.owners = owners }

        var silent: [Ring.NodeIndex] {
            owners.indices.filter { heard & 1 << UInt64($0) == 0 }.map { owners[$0] }
        }

        /// False if the node is no owner, or has answered.
        mutating func take(_ verdict: Verdict, from node: Ring.NodeIndex) -> Bool {
            guard let place = owners.firstIndex(of: node), heard & 1 << UInt64(place) == 0 else { return false }
            heard |= 1 << UInt64(place)
            switch verdict {
            case .accepted: accepted += 1
            case .deferred(let reason): deferral = deferral ?? reason
            case .refused(let reason):
                refused += 1
                refusal = refusal ?? reason
            }
            return true
        }

        func verdict(_ quorum: Int) -> Verdict? {
            if accepted >= quorum { return .accepted }
            if let refusal, refused == owners.count { return .refused(refusal) }
            let silent = owners.count - heard.nonzeroBitCount
            guard accepted + silent < quorum else { return nil }
            if let deferral { return .deferred(deferral) }
            return accepted > 0 ? .deferred(.unexpected) : nil
        }
    }
}
