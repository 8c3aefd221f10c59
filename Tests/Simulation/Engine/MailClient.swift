import Cluster

/// What an SMTP client sends: a text of its own, to one mailbox or several.
struct OutgoingMessage {
    let text: Int
    let mailboxes: [Int]
}

/// Somebody who sends and reads. Clients do not die: they know what they were told.
final class MailClient: SimulatedProcess {
    private var scenario: Scenario { world.scenario }

    /// How often and when a message is sent again.
    private static let backoff = QuadraticBackoff(step: 2)
    private static let attemptsMax = 6

    /// Begins its work, spread over the time of faults.
    func begin() {
        for _ in 0..<scenario.messagesPerClient {
            after(world.random.between(0, scenario.duration)) { [self] in
                let count = world.random.chance(0.2) ? 2 : 1
                let mailboxes = world.random.sample(count, below: scenario.mailboxes)
                send(OutgoingMessage(text: world.nextText(), mailboxes: mailboxes), birth: world.now, attempt: 1)
            }
        }
        for _ in 0..<scenario.sessionsPerClient {
            after(world.random.between(0, scenario.duration)) { [self] in read() }
        }
    }

    /// One of its own site's, or now and then of another one, if it may change mailboxes there.
    private func anyFrontend(changes: Bool = true) -> Frontend? {
        var site = site
        if world.sites.count > 1, world.random.chance(0.2) { site = world.random.pick(world.sites) }
        if changes, !scenario.topology.isWritten(at: site.number) { site = world.sites[0] }
        let up = site.frontends.filter(\.isUp)
        return up.isEmpty ? nil : world.random.pick(up)
    }

    // MARK: sending

    private func send(_ message: OutgoingMessage, birth: SimulatedTime, attempt: Int) {
        guard let frontend = anyFrontend() else { return retry(message, birth, attempt) }
        world.tally.operations += 1
        let question = Question<String?> { [self] answer in
            if let identity = answer ?? nil {
                note("was told 250 for \(identity)")
                world.ledger.acknowledged(identity, at: frontend.site.number)
                world.tally.acknowledged += 1
            } else {
                world.tally.refused += 1
                retry(message, birth, attempt)
            }
        }
        talk(to: frontend, question, timeout: scenario.timeout * 2) { frontend, reply in
            frontend.receive(message, reply: reply)
        }
    }

    /// It comes again as a new message.
    private func retry(_ message: OutgoingMessage, _ birth: SimulatedTime, _ attempt: Int) {
        guard attempt < Self.attemptsMax else { return }
        let (birthSeconds, now) = (birth / 1_000_000, world.now / 1_000_000)
        let wait = Self.backoff.nextTry(birth: birthSeconds, now: now) - now
        after(.seconds(wait)) { [self] in
            guard world.takesClients else { return }
            send(message, birth: birth, attempt: attempt + 1)
        }
    }

    // MARK: reading

    private func read() {
        guard world.takesClients, let frontend = anyFrontend(changes: false) else { return }
        let mailbox = world.random.below(scenario.relayQueue ?? scenario.mailboxes)
        world.tally.operations += 1
        let question = Question<MaildropSession?> { [self] answer in
            guard let session = answer ?? nil else { return world.tally.refused += 1 }
            note("reads \(session.listing.shown.count) messages of \(mailbox) at node \(session.node)")
            after(world.random.between(.milliseconds(1), .seconds(5))) { [self] in quit(session, frontend) }
        }
        talk(to: frontend, question, timeout: scenario.timeout * 2) { frontend, reply in
            frontend.open(mailbox, reply: reply)
        }
    }

    private func quit(_ session: MaildropSession, _ frontend: Frontend) {
        let deletion = scenario.topology.isWritten(at: frontend.site.number) ? scenario.deletion : 0
        let names = session.listing.shown.filter { _ in world.random.chance(deletion) }
        if !names.isEmpty { world.ledger.deleting(names, of: session.mailbox) }
        let question = Question<Bool?> { [self] answer in
            guard let answer, answer == true else { return world.tally.refused += 1 }
            guard !names.isEmpty else { return }
            note("was told +OK for the deletion of \(names.joined(separator: " "))")
            world.ledger.deleted(names, of: session.mailbox, at: frontend.site.number)
            world.tally.deleted += names.count
        }
        talk(to: frontend, question, timeout: scenario.timeout * 3) { frontend, reply in
            frontend.quit(session, deleting: names, reply: reply)
        }
    }

    /// One question to a frontend over a connection, which does not double what it carries.
    private func talk<Answer>(
        to frontend: Frontend, _ question: Question<Answer>, timeout: SimulatedTime,
        _ request: @escaping (Frontend, @escaping (Answer) -> Void) -> Void
    ) {
        let client = self
        world.network.send(from: self, to: frontend, mayDouble: false) {
            request(frontend) { answer in
                client.world.network.send(from: frontend, to: client, mayDouble: false) { question.answer(answer) }
            }
        }
        after(timeout) { question.answer(nil) }
    }
}
