import Cluster
import Mail

/// A frontend: it keeps nothing, so whatever it had begun ends when it dies.
final class Frontend: SimulatedProcess {
    /// Takes a message from a client, and tells it 250 (with the identity) or 451 (nil).
    func receive(_ message: OutgoingMessage, reply: @escaping (String?) -> Void) {
        let identity = mint()
        world.ledger.minted(identity, message)
        let isSmall = !world.random.chance(0.2)
        note("takes message \(message.text) for \(message.mailboxes) as \(identity)\(isSmall ? "" : ", streaming")")
        step(.sendCopy, after: 0) { [self] in
            MessageRun(
                self, identity, .message(text: message.text), for: message.mailboxes, canResend: isSmall
            ) { [self] verdicts in
                step(.tellClient, after: 0) { [self] in
                    let isAccepted = verdicts.allSatisfy(\.isAccepted)
                    note("\(isAccepted ? "250" : "451") for \(identity)")
                    reply(isAccepted ? identity : nil)
                }
            }.start()
        }
    }

    /// Takes from another site what has been at the sites of `path`.
    func receive(
        _ cargo: Cargo, named name: String, of mailbox: Int, at path: SitePath, reply: @escaping (Verdict) -> Void
    ) {
        let isSmall = !world.random.chance(0.2)
        step(.sendCopy, after: 0) { [self] in
            MessageRun(self, name, cargo, for: [mailbox], at: path, canResend: isSmall) { [self] verdicts in
                step(.tellClient, after: 0) { reply(verdicts[0]) }
            }.start()
        }
    }

    /// Opens a maildrop at the first owner that does; they share the time. Tells nil for -ERR [SYS/TEMP].
    func open(_ mailbox: Int, reply: @escaping (MaildropSession?) -> Void) {
        let owners = transition.ring.owners(ofPartition: world.partitions[mailbox]).map(Int.init)
        let order = owners.filter(isReachable) + owners.filter { !isReachable($0) }
        open(mailbox, at: order[...], until: world.now + world.scenario.timeout, reply: reply)
    }

    private func open(
        _ mailbox: Int, at owners: ArraySlice<Int>, until deadline: SimulatedTime,
        reply: @escaping (MaildropSession?) -> Void
    ) {
        guard let owner = owners.first else { return reply(nil) }
        let share = (deadline - world.now) / Int64(owners.count)
        guard share > 0 else { return reply(nil) }
        let node = site.nodes[owner]
        ask(node, timeout: share) { (_, reply: @escaping (MaildropSession?) -> Void) in
            node.open(mailbox, then: reply)
        } then: { [self] (session: MaildropSession??) in
            if let session = session ?? nil { return reply(session) }
            open(mailbox, at: owners.dropFirst(), until: deadline, reply: reply)
        }
    }

    /// Carries QUIT to the node of the session. Tells nil if that is not heard of again.
    func quit(_ session: MaildropSession, deleting names: [String], reply: @escaping (Bool?) -> Void) {
        let node = site.nodes[session.node]
        ask(node, timeout: 2 * world.scenario.timeout) { (_, reply: @escaping (Bool) -> Void) in
            node.quit(session, deleting: names, then: reply)
        } then: {
            reply($0)
        }
    }
}
