import CoreMetrics
import Logging
import Mail
import Membership
import NIOCore
import SASL
import SMTP
import Wire

/// Drives one client's SMTP or LMTP session on a frontend.
final class SMTPConversation: Conversation {
    private let frontend: FrontendContext
    private let listener: SMTPListenerSettings
    private var session: SMTPServerSession
    private var log: Logger
    /// The client's address.
    private let client: String
    private var waiting = Waiting.no
    /// Nothing more is to be said: answers that still come are for nobody.
    private var ended = false
    private var greeted = false
    /// Whose SCRAM proof the session is checking.
    private var proving: (user: String, attempt: LoginAttempt)?
    /// A login that is being checked, perhaps after a delay; nobody waits for it once the client is gone.
    private var login: Task<Void, Never>?
    private let intake: MessageIntake
    /// Whole messages whose outcome is awaited: one, but several of another site's.
    private var inFlight = 0
    /// As many as may be: nothing is read meanwhile.
    private var storing = false

    private enum Waiting {
        case no
        /// For the directory, the nodes or the greeting's time: nothing is read meanwhile.
        case answer
        /// For the nodes to take more of a large message.
        case nodes
        case tls
    }

    init(frontend: FrontendContext, listener: SMTPListenerSettings, connection: Connection) {
        self.frontend = frontend
        self.listener = listener
        let tls = connection.tlsVersion.map { SMTPTLS(version: $0) }
        session = SMTPServerSession(
            settings: listener.session,
            peer: SMTPPeer(address: connection.peer.isLocal ? "" : connection.peer.address, tls: tls),
            nonce: frontend.identifiers.nonce(for: listener.session.mechanisms),
            challenges: frontend.identifiers.challenges(
                for: listener.session.mechanisms, hostname: listener.session.hostname))
        log = frontend.log
        client = connection.peer.address
        log[metadataKey: "connection"] = "\(frontend.identifiers.connection())"
        log[metadataKey: "client"] = "\(connection.peer.address)"
        intake = MessageIntake(
            frontend: frontend, hostname: listener.session.hostname, answersEach: listener.session.service.isLMTP,
            mayRelay: listener.relayFrom.contains { $0.contains(connection.peer.address) },
            eventLoop: connection.eventLoop, log: log)
        connection.setTimes(listener.times)
    }

    // MARK: what happens on the wire

    func opened(_ connection: Connection) {
        frontend.metrics.smtpConnections.increment()
        log.debug("connected", metadata: ["tls": "\(connection.isTLS)", "service": "\(listener.session.service)"])
        // Who has talked before the greeting is found out at no cost; who will talk, only by making them wait.
        if listener.greetingDelay > .zero {
            connection.after(listener.greetingDelay) { [self] in greet(connection) }
        } else {
            connection.afterPolling { [self] in greet(connection) }
        }
    }

    private func greet(_ connection: Connection) {
        guard !ended else { return }
        greeted = true
        waiting = .no
        session.opened()
        run(connection)
    }

    func received(_ connection: Connection) {
        if greeted { run(connection) } else { talkedEarly(connection) }
    }

    /// RFC 5321 §3.1: a client waits for the greeting.
    private func talkedEarly(_ connection: Connection) {
        guard connection.unread.readableBytes > 0, !ended else { return }
        log.info("client talks before the greeting")
        _ = session.earlyTalk()
        end(connection)
    }

    func writable(_ connection: Connection) {
        if greeted { run(connection) }
    }

    func tlsStarted(_ connection: Connection) {
        waiting = .no
        session.tlsStarted(SMTPTLS(version: connection.tlsVersion ?? ""))
        run(connection)
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        // While the client waits for us, its clock stands still.
        if case .idle = timeout, waiting == .answer || waiting == .nodes || inFlight > 0 { return }
        log.info("timed out", metadata: ["clock": "\(timeout)"])
        let action = session.timedOut(timeout == .idle ? .idle : .total)
        // A message that is being stored has its answer first, or its sender would send it again.
        if action == .waitForStorage, inFlight > 0 { return }
        end(connection)
    }

    func draining(_ connection: Connection) {
        if !ended, session.draining() == .close { end(connection) }
    }

    func closed(_ reason: ConnectionEnd) {
        ended = true
        login?.cancel()
        intake.abandon()
        frontend.turns.visited(by: client, asking: frontend)
        log.debug("closed", metadata: ["reason": "\(reason)"])
    }

    private func end(_ connection: Connection) {
        ended = true
        intake.abandon()
        connection.write(session.takeOutput())
        if session.hasQuit { connection.close() } else { connection.closeLingering() }
    }

    // MARK: what the session says

    private func run(_ connection: Connection) {
        var goesOn = true
        storing = false
        while goesOn, waiting == .no, !ended, connection.isWritable {
            let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
            goesOn = carryOut(step, connection)
            connection.consume(step.consumed)
            if session.takeProgress() { connection.madeProgress() }
        }
        intake.sendGathered()
        // Asked once a round: what is taken too much is no more than one read brought.
        if waiting == .no, intake.isBlocked { waiting = .nodes }
        if !session.isAuthenticating { proofEnded() }
        guard !ended else { return }
        connection.write(session.takeOutput())
        connection.flush()
        connection.wantsBytes = (waiting == .no || waiting == .tls) && !storing && connection.isWritable
    }

    /// Does what the session says. False when it has nothing more to do for now.
    private func carryOut(_ step: SMTPServerSession.Step, _ connection: Connection) -> Bool {
        switch step.action {
        case .proceed:
            return true
        case .needBytes:
            if connection.inputEnded, inFlight == 0 { end(connection) }
            return false
        case .waitForStorage:
            storing = true
            return false
        case .authenticate(let request):
            return authenticate(request, connection)
        case .resolveRecipient(let query):
            resolve(query, connection)
            return waiting == .no
        case .startMessage(let envelope):
            start(envelope, connection)
            return true
        case .body(let range):
            append(range, connection)
            return true
        case .endMessage(let id, let summary):
            finish(id, summary, connection)
            return waiting == .no
        case .abandonMessage:
            intake.abandon()
            return true
        case .startTLS:
            guard let tls = frontend.serverTLS else {
                session.tlsRefused()
                return true
            }
            startTLS(tls, connection)
        case .startQueue(let request):
            startQueue(request, connection)
        case .askTurn(let request):
            askTurn(request, connection)
        case .turn(let request):
            turn(request, connection)
        case .close:
            end(connection)
        }
        return false
    }

    private func startTLS(_ tls: ServerTLS, _ connection: Connection) {
        waiting = .tls
        session.tlsAccepted()
        connection.write(session.takeOutput())
        connection.startTLS(tls)
    }

    private func startQueue(_ request: ETRNRequest, _ connection: Connection) {
        waiting = .answer
        let address = connection.peer.isLocal ? "" : connection.peer.address
        connection.perform { [frontend] in
            await frontend.turns.startQueue(request, address, asking: frontend)
        } then: { [self] answer in
            guard !ended else { return }
            waiting = .no
            log.info("ETRN", metadata: ["target": "\(request.target)", "answer": "\(answer)"])
            session.queueStarted(answer)
            run(connection)
        }
    }

    private func askTurn(_ request: ATRNRequest, _ connection: Connection) {
        waiting = .answer
        connection.perform { [frontend] in
            await frontend.turns.askTurn(request, asking: frontend)
        } then: { [self] answer in
            guard !ended else { return }
            waiting = .no
            log.info("ATRN", metadata: ["user": "\(request.user.address)", "answer": "\(answer)"])
            session.turnAnswered(answer)
            run(connection)
        }
    }

    /// From here on the client is the server.
    private func turn(_ request: ATRNRequest, _ connection: Connection) {
        ended = true
        connection.write(session.takeOutput())
        let queues = FetchedQueues(
            of: frontend.turns.relays(of: request), frontend: frontend, eventLoop: connection.eventLoop, log: log)
        TurnedConnection(connection, queues: queues, hostname: listener.session.hostname, log: log).begin()
    }

    /// True if it is answered already.
    private func authenticate(_ request: AuthenticationRequest, _ connection: Connection) -> Bool {
        // One exchange ends before the next begins, also where both came in one piece.
        proofEnded()
        let address = connection.peer.address
        if let reply = frontend.login.answerNow(request, from: address) {
            take(reply, to: request)
            return true
        }
        waiting = .answer
        login = connection.perform { [login = frontend.login] in
            await login.answer(request, from: address)
        } then: { [self] reply in
            guard !ended else { return }
            waiting = .no
            take(reply, to: request)
            run(connection)
        }
        return false
    }

    private func take(_ reply: LoginAnswer, to request: AuthenticationRequest) {
        if case .rejected = reply.answer { log.info("login refused", metadata: ["user": "\(request.user)"]) }
        proving = reply.attempt.map { (request.user, $0) }
        session.authenticationAnswered(reply.answer)
    }

    /// The directory gave SCRAM credentials; only the session knows what came of them.
    private func proofEnded() {
        guard let (user, attempt) = proving else { return }
        proving = nil
        if session.user == nil { log.info("login refused", metadata: ["user": "\(user)"]) }
        attempt.end(session.user == nil ? .wrong : .right)
    }

    // MARK: messages

    private func resolve(_ query: SMTPRecipientQuery, _ connection: Connection) {
        let verdict = intake.verdict(on: query, connection) { [self] verdict in
            guard !ended else { return }
            waiting = .no
            session.recipientResolved(verdict)
            run(connection)
        }
        if let verdict { session.recipientResolved(verdict) } else { waiting = .answer }
    }

    private func start(_ envelope: SMTPEnvelope, _ connection: Connection) {
        intake.start(envelope) { [self] in
            guard waiting == .nodes, !intake.isBlocked else { return }
            waiting = .no
            run(connection)
        }
        session.messageStarted(.accepted)
    }

    private func append(_ range: Range<Int>, _ connection: Connection) {
        let start = connection.unread.readerIndex + range.lowerBound
        guard let piece = connection.unread.getSlice(at: start, length: range.count) else {
            preconditionFailure("message text \(range) outside the unread bytes")
        }
        intake.append(piece, session.headerFindings)
    }

    private func finish(_ id: SMTPTransactionID, _ summary: SMTPMessageSummary, _ connection: Connection) {
        // A site's next message is read meanwhile.
        let isSite = session.user?.site != nil
        if !isSite { waiting = .answer }
        inFlight += 1
        connection.owesAnswer = true
        var isInside = true
        intake.finish(summary) { [self] replies, identity in
            inFlight -= 1
            connection.owesAnswer = inFlight > 0
            guard !ended else { return }
            if !isSite { waiting = .no }
            session.messageStored(id, replies, note: identity.text)
            // Known at once: the loop that brought us here goes on by itself.
            if !isInside { run(connection) }
        }
        isInside = false
    }
}
