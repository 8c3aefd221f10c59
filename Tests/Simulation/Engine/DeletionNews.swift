import Cluster
import Mail

/// One tombstone on its way to the other owners, or to those who keep it for them.
final class DeletionNews {
    private let node: StorageNode
    private let tombstone: SimulatedTombstone
    private let mailbox: Int
    private var plan: DeliveryPlan
    private var told: ((Bool) -> Void)?

    init(_ node: StorageNode, _ tombstone: SimulatedTombstone, of mailbox: Int) {
        self.node = node
        self.tombstone = tombstone
        self.mailbox = mailbox
        plan = DeliveryPlan(
            ring: node.ring, partitions: [node.world.partitions[mailbox]], quorum: node.scenario.quorum,
            durableAt: Ring.NodeIndex(node.index))
    }

    private func isLive(_ index: Ring.NodeIndex) -> Bool {
        Int(index) != node.index && node.isReachable(Int(index))
    }

    /// Tells, when no copy is on its way any more, whether the quorum has it.
    func tell(then: @escaping (Bool) -> Void) {
        told = then
        send(plan.start(isLive: isLive))
    }

    private func send(_ copies: [DeliveryPlan.Copy]) {
        for copy in copies { send(copy) }
        guard plan.isFinished, let told else { return }
        self.told = nil
        node.world.tally.forgotten += plan.forgotten.count
        told(plan.verdicts == [.accepted])
    }

    private func send(_ copy: DeliveryPlan.Copy) {
        let owner = copy.kind == .own ? nil : Int(copy.owner)
        if owner != nil { node.world.tally.handoffs += 1 }
        guard Int(copy.node) != node.index else {
            guard let owner else { preconditionFailure("a node tells itself of its own deletion") }
            return node.hold(tombstone.name, of: mailbox, for: owner) { [self] isKept in
                if isKept { node.freshTargets.insert(owner) }
                answered(copy, isKept ? .accepted : StorageNode.deferred)
            }
        }
        let cargo = copy.kind == .hold ? Cargo.hold : .tombstone(tombstone.lines)
        node.carry(cargo, named: tombstone.name, of: mailbox, to: Int(copy.node), heldFor: owner, at: .origin) {
            [self] in
            send(plan.lagging(copy, isLive: isLive))
        } then: { [self] in
            answered(copy, $0)
        }
    }

    private func answered(_ copy: DeliveryPlan.Copy, _ verdict: Verdict) {
        send(plan.answered(copy, verdict, isLive: isLive))
    }
}
