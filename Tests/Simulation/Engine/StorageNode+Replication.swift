import Cluster
import Mail

/// Replicas that converge, as the real node's `Replicator` and `ReplicaPeers` make them.
extension StorageNode {
    /// Brings here what other replicas of the mailbox and its stand-ins have, as far as they answer.
    func prepareOpening(_ mailbox: Int, then: @escaping () -> Void) {
        let (owners, standIns) = helpers(for: mailbox)
        let drained = Countdown(standIns.count + owners.count) { [self] in
            let merged = Countdown(owners.count, then: then)
            for owner in owners { converge(mailbox, with: Int(owner)) { merged.done() } }
        }
        for node in standIns + owners { askToDrain(mailbox, at: Int(node)) { drained.done() } }
    }

    /// Who is asked at an opening.
    func helpers(for mailbox: Int) -> (owners: [Ring.NodeIndex], standIns: [Ring.NodeIndex]) {
        let partition = world.partitions[mailbox]
        let own = Ring.NodeIndex(index)
        let isLive: (Ring.NodeIndex) -> Bool = { [self] in $0 != own && isReachable(Int($0)) }
        let owners = ring.owners(ofPartition: partition).filter(isLive)
        let standIns = PreferenceList.live(
            ring, partition: partition, count: ring.replicas + Self.standInsMin, isLive: isLive
        ).filter { !owners.contains($0) }
        return (owners, standIns)
    }

    private static let standInsMin = 2

    private func askToDrain(_ mailbox: Int, at index: Int, then: @escaping () -> Void) {
        guard isReachable(index) else { return then() }
        let node = world.nodes[index]
        ask(node, timeout: scenario.handoffAfter) { (_, reply: @escaping (Bool) -> Void) in
            HandoffDrain(node).drain(mailbox, then: reply)
        } then: { _ in
            then()
        }
    }

    private func converge(_ mailbox: Int, with index: Int, then: @escaping () -> Void) {
        guard isReachable(index) else { return then() }
        let node = world.nodes[index]
        ask(node, timeout: scenario.handoffAfter) { (_, reply: @escaping (MailboxDigest) -> Void) in
            node.diskStep(.answer) { reply(node.digest(mailbox)) }
        } then: { [self] theirs in
            guard let theirs, theirs != digest(mailbox) else { return then() }
            merge(mailbox, with: index, then: then)
        }
    }

    /// Makes this node's copy and another's the same, after whatever merge of the mailbox is under way.
    func merge(_ mailbox: Int, with index: Int, then: @escaping () -> Void) {
        let run = { [self] in
            MailboxMerging(self, mailbox, with: world.nodes[index]) { [self] in
                then()
                merges[mailbox]?.removeFirst()
                merges[mailbox]?.first?()
            }.run()
        }
        merges[mailbox, default: []].append(run)
        if merges[mailbox]?.count == 1 { run() }
    }

    /// Carries something to another node, and tells what that says.
    func carry(
        _ cargo: Cargo, named name: String, of mailbox: Int, to index: Int, heldFor owner: Int? = nil,
        lagging: @escaping () -> Void = {}, then: @escaping (Verdict) -> Void
    ) {
        let node = world.nodes[index]
        ask(node, timeout: scenario.timeout, lag: scenario.handoffAfter, repeats: true) {
            (isRepeat, reply: @escaping (Verdict) -> Void) in
            node.receive(cargo, named: name, for: mailbox, heldFor: owner, isRepeat: isRepeat, reply: reply)
        } lagging: {
            lagging()
        } then: {
            then($0 ?? Self.deferred)
        }
    }
}
