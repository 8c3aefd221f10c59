import Cluster

/// The loop of a node that brings what it lost to its owners, as the real one's `Mover` does.
final class MoverLoop {
    private let node: StorageNode
    /// By which it gives up what is not the node's. Others are told this one, and not what the node has learnt meanwhile.
    private(set) var ring: Ring

    private static let interval = SimulatedTime.seconds(1)

    init(_ node: StorageNode) {
        self.node = node
        ring = node.ring
    }

    func start() { node.after(node.world.random.between(0, Self.interval)) { [self] in go() } }

    private func go() {
        ring = node.ring
        let strays = node.strays
        guard !strays.isEmpty, !node.world.pausesDrains else { return again() }
        if node.world.bug == .moverGivesUpEarly { return giveUp(strays[...]) }
        askRings { [self] rings in
            guard Move.mayBegin(ring: ring.fingerprint, others: rings) else { return again() }
            move(strays[...])
        }
    }

    private func again() { node.after(Self.interval) { [self] in go() } }

    /// Which ring each other node goes by that owns anything; nil for one that does not answer.
    private func askRings(then: @escaping ([UInt64?]) -> Void) {
        let others = node.site.nodes.filter { other in
            other.index != node.index && ring.members[other.index].weight > 0
        }
        var rings: [UInt64?] = []
        let countdown = Countdown(others.count) { then(rings) }
        for other in others {
            node.ask(other, timeout: node.scenario.handoffAfter) { (_, reply: @escaping (UInt64) -> Void) in
                other.step(.answer, after: 0) { if let ring = other.mover?.ring { reply(ring.fingerprint) } }
            } then: {
                rings.append($0)
                countdown.done()
            }
        }
    }

    private func move(_ mailboxes: ArraySlice<Int>) {
        guard let first = mailboxes.first, node.ring == ring else { return again() }
        let owners = ring.owners(ofPartition: node.world.partitions[first])
        let plan = Move(owners: owners)
        carryOut(plan.next, plan, first, compared: nil) { [self] in move(mailboxes.dropFirst()) }
    }

    private func carryOut(
        _ step: Move.Step, _ plan: Move, _ mailbox: Int, compared: MaildirListing?, then: @escaping () -> Void
    ) {
        switch step {
        case .stop: then()
        case .giveUp: purge(compared, of: mailbox, then: then)
        case .give(let owner):
            MailboxMerging(node, mailbox, with: node.site.nodes[Int(owner)], .there) { [self] outcome in
                var plan = plan
                guard case .done(let listing, let merge) = outcome else {
                    return carryOut(
                        plan.compared(carried: 0, isComplete: false), plan, mailbox, compared: nil, then: then)
                }
                let carried = merge.messagesCarried + merge.tombstonesCarried
                let next = plan.compared(carried: carried, isComplete: merge.isComplete)
                let found = carried == 0 && merge.isComplete ? listing : nil
                carryOut(next, plan, mailbox, compared: compared ?? found, then: then)
            }.run()
        }
    }

    private func purge(_ listing: MaildirListing?, of mailbox: Int, then: @escaping () -> Void) {
        guard let listing else { return then() }
        let maildir = node.disk.maildir(mailbox, heldFor: nil)
        node.diskStep(.giveUp) { [self] in
            node.note("gives up mailbox \(mailbox): \(listing.messages + listing.tombstones)")
            for name in listing.messages { maildir.new.unlink(name) }
            for name in listing.tombstones { maildir.gone.unlink(name) }
            then()
        }
    }

    private func giveUp(_ mailboxes: ArraySlice<Int>) {
        guard let first = mailboxes.first else { return again() }
        purge(node.list(first), of: first) { [self] in giveUp(mailboxes.dropFirst()) }
    }
}
