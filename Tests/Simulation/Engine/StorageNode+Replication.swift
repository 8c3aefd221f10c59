import Cluster
import Mail

/// Replicas that converge, as the real node's `Replicator` and `ReplicaPeers` make them.
extension StorageNode {
    /// Brings here what other replicas of the mailbox and its stand-ins have, as far as they answer. Tells false if one of
    /// them has what this node cannot take, or if nobody answers who owned the mailbox when this node did not.
    ///
    /// - Parameter then: told too whether all owners, of all epochs that are not settled, were heard.
    func prepareOpening(_ mailbox: Int, then: @escaping (_ isWhole: Bool, _ hearsAll: Bool) -> Void) {
        let (owners, former, standIns) = helpers(for: mailbox)
        let groups = transition.holders(ofPartition: world.partitions[mailbox])
        var heard: Set<Ring.NodeIndex> = [Ring.NodeIndex(index)]
        var isWhole = true
        let converged = { [self] in
            isWhole = true
            let merged = Countdown(owners.count + former.count) {
                then(
                    isWhole && groups.allSatisfy { !heard.isDisjoint(with: $0) },
                    groups.allSatisfy { heard.isSuperset(of: $0) })
            }
            for (nodes, scope) in [(owners, Merge.Scope.both), (former, .here)] {
                for node in nodes {
                    converge(mailbox, with: Int(node), scope) { convergence in
                        if convergence == .lacking { isWhole = false }
                        if convergence != .silent { heard.insert(node) }
                        merged.done()
                    }
                }
            }
        }
        let drained = Countdown(standIns.count) { [self] in
            guard isWhole || ring.replicas == 1 else { return then(false, false) }
            guard groups[0].contains(Ring.NodeIndex(index)) else { return converged() }
            HandoffDrain(self).takeOver(mailbox, then: converged)
        }
        for node in standIns {
            askDigest(of: mailbox, at: Int(node)) { [self] answer in
                if answer?.isBrought == false { isWhole = false }
                guard let answer, !answer.digest.isEmpty else { return drained.done() }
                // Somebody brought it there who went by another ring.
                merge(mailbox, with: Int(node), .here) {
                    if $0 == .lacking { isWhole = false }
                    drained.done()
                }
            }
        }
    }

    /// Who is asked at an opening.
    func helpers(
        for mailbox: Int
    ) -> (owners: [Ring.NodeIndex], former: [Ring.NodeIndex], standIns: [Ring.NodeIndex]) {
        let partition = world.partitions[mailbox]
        let own = Ring.NodeIndex(index)
        let isLive: (Ring.NodeIndex) -> Bool = { [self] in $0 != own && isReachable(Int($0)) }
        let groups = transition.holders(ofPartition: partition)
        let former = Set(groups.dropFirst().joined()).subtracting(groups[0]).filter { $0 != own }.sorted()
        let standIns = PreferenceList.live(
            ring, partition: partition, count: ring.replicas + Self.standInsMin, isLive: isLive
        ).filter { !groups[0].contains($0) && !former.contains($0) }
        return (groups[0].filter(isLive), former, standIns)
    }

    /// Whether what is missing waits on a node that stood in though it is far down the preference list, or that was delivered
    /// to by somebody who had not heard of the last epochs: an opening does not ask it, and the reader sees the effect when it
    /// has handed over.
    func isToCome(_ complaint: Complaint) -> Bool {
        let (owners, former, standIns) = helpers(for: complaint.mailbox)
        let asked = (owners + former + standIns).map(Int.init) + [index]
        return site.nodes.contains { other in
            guard !asked.contains(other.index) else { return false }
            var places = other.disk.targets.map { other.disk.maildir(complaint.mailbox, heldFor: $0) }
            if other.strays.contains(complaint.mailbox) {
                places.append(other.disk.maildir(complaint.mailbox, heldFor: nil))
            }
            return places.contains { place in
                switch complaint.kind {
                case .lost: place.new.entries[complaint.message] != nil
                case .resurrected: place.deletes(complaint.message, text: world.ledger.text(of: complaint))
                case .twice, .invented, .damaged: false
                }
            }
        }
    }

    private static let standInsMin = 2

    /// What a node's copy comes to, after it has brought here what waited there, and whether all of that was taken. Tells nil
    /// if it does not answer.
    private func askDigest(
        of mailbox: Int, at index: Int, then: @escaping ((digest: MailboxDigest, isBrought: Bool)?) -> Void
    ) {
        guard isReachable(index) else { return then(nil) }
        let node = site.nodes[index]
        let asker = self.index
        ask(node, timeout: scenario.handoffAfter) { (_, reply: @escaping ((MailboxDigest, Bool)) -> Void) in
            node.diskStep(.answer) { reply((node.digest(mailbox), node.disk.hasHeld(in: mailbox))) }
        } then: { [self] answer in
            guard let (digest, isHolding) = answer else { return then(nil) }
            guard isHolding, isReachable(index) else { return then((digest, true)) }
            ask(node, timeout: scenario.timeout) { (_, reply: @escaping (Bool) -> Void) in
                HandoffDrain(node).drain(mailbox, to: asker, then: reply)
            } then: {
                then((digest, $0 ?? true))
            }
        }
    }

    enum Convergence {
        case equal
        case merged
        /// The other one has what this node could not take.
        case lacking
        /// The other one does not answer.
        case silent
    }

    private func converge(
        _ mailbox: Int, with index: Int, _ scope: Merge.Scope, then: @escaping (Convergence) -> Void
    ) {
        askDigest(of: mailbox, at: index) { [self] answer in
            guard let theirs = answer?.digest else { return then(.silent) }
            if theirs == digest(mailbox) || scope == .here && theirs.isEmpty { return then(.equal) }
            merge(mailbox, with: index, scope, then: then)
        }
    }

    /// Makes this node's copy and another's the same, after whatever merge of the mailbox is under way.
    func merge(
        _ mailbox: Int, with index: Int, _ scope: Merge.Scope = .both, then: @escaping (Convergence) -> Void
    ) {
        let run = { [self] in
            MailboxMerging(self, mailbox, with: site.nodes[index], scope) { [self] outcome in
                switch outcome {
                case .done(_, let merge): then(merge.isLackingHere ? .lacking : .merged)
                case .silent: then(.silent)
                }
                merges[mailbox]?.removeFirst()
                merges[mailbox]?.first?()
            }.run()
        }
        merges[mailbox, default: []].append(run)
        if merges[mailbox]?.count == 1 { run() }
    }

    /// Carries something to another node, and tells what that says. What has no path is nothing new to the site.
    func carry(
        _ cargo: Cargo, named name: String, of mailbox: Int, to index: Int, heldFor owner: Int? = nil,
        at path: SitePath? = nil, lagging: @escaping () -> Void = {}, then: @escaping (Verdict) -> Void
    ) {
        let node = site.nodes[index]
        ask(node, timeout: scenario.timeout, lag: scenario.handoffAfter, repeats: true) {
            (isRepeat, reply: @escaping (Verdict) -> Void) in
            node.receive(
                cargo, named: name, for: mailbox, heldFor: owner, at: path, isRepeat: isRepeat, reply: reply)
        } lagging: {
            lagging()
        } then: {
            then($0 ?? Self.deferred)
        }
    }
}
