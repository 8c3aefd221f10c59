import Cluster
import Mail

/// The loop of a node that sends what waits in the relay's queue if it is the first owner that is there, and deletes it as a
/// reader would, as the real one's `RelayDrain` and `RelayQueues` do.
final class RelayLoop {
    private let node: StorageNode
    private let queue: Int
    private let server: RemoteServer
    private var world: World { node.world }

    private static let interval = SimulatedTime.seconds(1)

    init(_ node: StorageNode, queue: Int, server: RemoteServer) {
        self.node = node
        self.queue = queue
        self.server = server
    }

    func start() { node.after(world.random.between(0, Self.interval)) { [self] in go() } }

    private func again() { node.after(Self.interval) { [self] in go() } }

    private var leads: Bool {
        let owners = node.ring.owners(ofPartition: world.partitions[queue]).map(Int.init)
        return owners.first { $0 == node.index || node.isReachable($0) } == node.index
    }

    private func go() {
        guard leads else { return again() }
        let settled = world.ledger.pages[queue].deleted
        node.open(queue, merges: world.bug != .relayedWithoutMerge) { [self] session in
            guard let session else { return again() }
            if let name = resent(session, settled) {
                return world.complain("\(node.name) sends \(name) again")
            }
            send(session)
        }
    }

    /// What an owner would send again that has heard of all others since they knew that it is over.
    private func resent(_ session: MaildropSession, _ settled: Set<String>) -> String? {
        guard session.hearsAll else { return nil }
        let page = world.ledger.pages[queue]
        return session.listing.shown.first { name in
            settled.contains { $0 == name || page.isResent($0, name) }
                && !node.isToCome(Complaint(.resurrected, name, queue))
        }
    }

    private func send(_ session: MaildropSession) {
        var done: [String] = []
        let countdown = Countdown(session.listing.shown.count) { [self] in delete(done, of: session) }
        for name in session.listing.shown {
            guard let text = session.texts[name] else {
                countdown.done()
                continue
            }
            send(name, text) { isDone in
                if isDone { done.append(name) }
                countdown.done()
            }
        }
    }

    /// Tells whether the message is over.
    private func send(_ name: String, _ text: Int, then: @escaping (Bool) -> Void) {
        let server = server
        node.step(.sendRelayed, after: 0) { [self] in
            node.note("sends \(name) elsewhere")
            node.ask(server, timeout: world.scenario.timeout) { (_, reply: @escaping (Verdict) -> Void) in
                server.receive(name, text: text, reply: reply)
            } then: { [self] verdict in
                switch verdict {
                case .accepted: then(true)
                case .refused: bounce(text, then: then)
                case .deferred, nil: then(world.bug == .relayGivesUpEarly)
                }
            }
        }
    }

    /// The sender's notice is a message like any other.
    private func bounce(_ text: Int, then: @escaping (Bool) -> Void) {
        if world.bug == .senderNotTold { return then(true) }
        let frontend = world.random.pick(node.site.frontends)
        let notice = OutgoingMessage(text: world.nextText(), mailboxes: [0])
        node.step(.tellSender, after: 0) { [self] in
            node.ask(frontend, timeout: world.scenario.timeout * 2) {
                (_, reply: @escaping (String?) -> Void) in
                frontend.receive(notice, reply: reply)
            } then: { [self] answer in
                guard let identity = answer ?? nil else { return then(false) }
                world.ledger.acknowledged(identity, at: node.site.number)
                world.relayed.failed(text)
                world.tally.bounces += 1
                then(true)
            }
        }
    }

    private func delete(_ names: [String], of session: MaildropSession) {
        node.step(.settleRelayed, after: 0) { [self] in
            world.ledger.deleting(names, of: queue)
            node.quit(session, deleting: names) { [self] isSafe in
                if isSafe { world.ledger.deleted(names, of: queue, at: node.site.number) }
                again()
            }
        }
    }
}
