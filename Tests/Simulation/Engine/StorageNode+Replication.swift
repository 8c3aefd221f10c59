import Cluster
import Mail

/// Replicas that converge, as the real node's `Replicator` and `ReplicaPeers` make them.
extension StorageNode {
    /// Brings here what other replicas of the mailbox and its stand-ins have, as far as they answer. Tells false if another
    /// owner has what this node cannot take.
    func prepareOpening(_ mailbox: Int, then: @escaping (Bool) -> Void) {
        let (owners, standIns) = helpers(for: mailbox)
        let drained = Countdown(standIns.count) { [self] in
            var isWhole = true
            let merged = Countdown(owners.count) { then(isWhole) }
            for owner in owners {
                converge(mailbox, with: Int(owner)) {
                    if !$0 { isWhole = false }
                    merged.done()
                }
            }
        }
        for node in standIns { askDigest(of: mailbox, at: Int(node)) { _ in drained.done() } }
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

    /// What a node's copy comes to, after it has brought here what waited there. Tells nil if it does not answer.
    private func askDigest(of mailbox: Int, at index: Int, then: @escaping (MailboxDigest?) -> Void) {
        guard isReachable(index) else { return then(nil) }
        let node = world.nodes[index]
        let asker = self.index
        ask(node, timeout: scenario.handoffAfter) { (_, reply: @escaping ((MailboxDigest, Bool)) -> Void) in
            node.diskStep(.answer) { reply((node.digest(mailbox), node.disk.hasHeld(in: mailbox))) }
        } then: { [self] answer in
            guard let (digest, isHolding) = answer, isHolding, isReachable(index) else { return then(answer?.0) }
            ask(node, timeout: scenario.timeout) { (_, reply: @escaping (Bool) -> Void) in
                HandoffDrain(node).drain(mailbox, to: asker, then: reply)
            } then: { _ in
                then(digest)
            }
        }
    }

    /// Tells false if the other one has what this node could not take.
    private func converge(_ mailbox: Int, with index: Int, then: @escaping (Bool) -> Void) {
        askDigest(of: mailbox, at: index) { [self] theirs in
            guard let theirs, theirs != digest(mailbox) else { return then(true) }
            merge(mailbox, with: index, then: then)
        }
    }

    /// Makes this node's copy and another's the same, after whatever merge of the mailbox is under way.
    func merge(_ mailbox: Int, with index: Int, then: @escaping (Bool) -> Void) {
        let run = { [self] in
            MailboxMerging(self, mailbox, with: world.nodes[index]) { [self] isWhole in
                then(isWhole)
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
