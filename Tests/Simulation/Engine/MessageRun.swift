import Cluster
import Mail

/// One message on its way from a frontend to the storage nodes, as the real `MessageDelivery` sends it.
final class MessageRun {
    private let frontend: Frontend
    private let identity: String
    private let cargo: Cargo
    private let mailboxes: [Int]
    private let path: SitePath?
    private var plan: DeliveryPlan
    private let canResend: Bool
    private var hasEnded = false
    private var finished: (([Verdict]) -> Void)?

    init(
        _ frontend: Frontend, _ identity: String, _ cargo: Cargo, for mailboxes: [Int], at path: SitePath? = nil,
        canResend: Bool, finished: @escaping ([Verdict]) -> Void
    ) {
        self.frontend = frontend
        self.identity = identity
        self.cargo = cargo
        self.mailboxes = mailboxes
        self.path = path
        self.canResend = canResend
        self.finished = finished
        let world = frontend.world
        plan = DeliveryPlan(
            ring: frontend.transition.ring, partitions: mailboxes.map { world.partitions[$0] },
            quorum: world.scenario.quorum, canResend: canResend)
    }

    private func isLive(_ node: Ring.NodeIndex) -> Bool { frontend.isReachable(Int(node)) }

    func start() { send(plan.start(isLive: isLive)) }

    private func send(_ copies: [DeliveryPlan.Copy]) {
        for copy in copies { frontend.step(.sendCopy, after: 0) { [self] in send(copy) } }
    }

    private func send(_ copy: DeliveryPlan.Copy) {
        let world = frontend.world
        let node = frontend.site.nodes[Int(copy.node)]
        let owner = copy.kind == .own ? nil : Int(copy.owner)
        if owner != nil { world.tally.handoffs += 1 }
        let cargo = copy.kind == .hold ? Cargo.hold : cargo
        let (mailbox, identity, path) = (mailboxes[copy.recipient], identity, path)
        frontend.note("sends \(identity) for \(mailbox) to \(node.name), \(copy.kind), owner \(copy.owner)")
        frontend.ask(
            node, timeout: world.scenario.timeout, lag: world.scenario.handoffAfter,
            repeats: canResend || copy.kind == .hold
        ) { (isRepeat, reply: @escaping (Verdict) -> Void) in
            node.receive(
                cargo, named: identity, for: mailbox, heldFor: owner, at: path, isRepeat: isRepeat, reply: reply)
        } lagging: { [self] in
            send(plan.lagging(copy, isLive: isLive))
        } then: { [self] in
            let more = plan.answered(copy, $0 ?? StorageNode.deferred, isLive: isLive)
            if plan.isDecided, let finished {
                self.finished = nil
                finished(plan.verdicts.map { $0 ?? StorageNode.deferred })
            }
            send(more)
            noteEnd()
        }
    }

    private func noteEnd() {
        guard plan.isFinished, !hasEnded else { return }
        hasEnded = true
        for (recipient, owner) in plan.forgotten where plan.verdicts[recipient] == .accepted {
            frontend.note("forgets owner \(owner) of \(identity) for \(mailboxes[recipient])")
            frontend.world.tally.forgotten += 1
        }
    }
}
