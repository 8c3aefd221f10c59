import Cluster
import CoreMetrics
import Directory
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
    private var waiting = Waiting.no
    /// Nothing more is to be said: answers that still come are for nobody.
    private var ended = false
    private var greeted = false
    /// Whose SCRAM proof the session is checking.
    private var proving: (user: String, attempt: LoginAttempt)?
    /// A login that is being checked, perhaps after a delay; nobody waits for it once the client is gone.
    private var login: Task<Void, Never>?
    private var recipients: RecipientRoutes
    private var message: MessageDelivery?
    private var textBegun = false
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
            nonce: frontend.identifiers.nonce())
        recipients = RecipientRoutes()
        log = frontend.log
        log[metadataKey: "connection"] = "\(frontend.identifiers.connection())"
        log[metadataKey: "client"] = "\(connection.peer.address)"
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
        drop(&message)
        log.debug("closed", metadata: ["reason": "\(reason)"])
    }

    private func end(_ connection: Connection) {
        ended = true
        drop(&message)
        connection.write(session.takeOutput())
        connection.closeLingering()
    }

    private func drop(_ message: inout MessageDelivery?) {
        message?.abandon()
        message = nil
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
        message?.sendGathered()
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
            authenticate(request, connection)
        case .resolveRecipient(let query):
            resolve(query, connection)
            return waiting == .no
        case .startMessage(let envelope):
            start(envelope, connection)
            return true
        case .body(let range):
            append(range, connection)
            return waiting == .no
        case .endMessage(let id, let summary):
            finish(id, summary, connection)
            return waiting == .no
        case .abandonMessage:
            drop(&message)
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
            preconditionFailure("a turn for \(request.user.address) that nobody granted")
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
        connection.perform { [turns = frontend.turns] in
            await turns.startQueue(request, address)
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
        connection.perform { [turns = frontend.turns] in
            await turns.askTurn(request)
        } then: { [self] answer in
            guard !ended else { return }
            waiting = .no
            log.info("ATRN", metadata: ["user": "\(request.user.address)", "answer": "\(answer)"])
            session.turnAnswered(answer)
            run(connection)
        }
    }

    private func authenticate(_ request: AuthenticationRequest, _ connection: Connection) {
        // One exchange ends before the next begins, also where both came in one piece.
        proofEnded()
        waiting = .answer
        let address = connection.peer.address
        login = connection.perform { [login = frontend.login] in
            await login.answer(request, from: address)
        } then: { [self] reply in
            guard !ended else { return }
            waiting = .no
            let answer = reply.answer
            if case .rejected = answer { log.info("login refused", metadata: ["user": "\(request.user)"]) }
            proving = reply.attempt.map { (request.user, $0) }
            session.authenticationAnswered(answer)
            run(connection)
        }
    }

    /// The directory gave SCRAM credentials; only the session knows what came of them.
    private func proofEnded() {
        guard let (user, attempt) = proving else { return }
        proving = nil
        if session.user == nil { log.info("login refused", metadata: ["user": "\(user)"]) }
        attempt.end(session.user == nil ? .wrong : .right)
    }

    // MARK: recipients

    private func resolve(_ query: SMTPRecipientQuery, _ connection: Connection) {
        var query = query
        // A site names the mailbox, whose name an address may have had before somebody else got it.
        if let mailbox = query.mailbox { query.address = mailbox.account }
        resolve(accountOf: query, connection)
    }

    private func resolve(accountOf query: SMTPRecipientQuery, _ connection: Connection) {
        if let known = frontend.directory.cached(query.address), Self.isAnswer(known, to: query) {
            return resolved(known, query, connection)
        }
        waiting = .answer
        connection.perform { [directory = frontend.directory] in
            await Self.answer(to: query, from: directory)
        } then: { [self] result in
            guard !ended else { return }
            waiting = .no
            switch result {
            case .success(let resolution):
                resolved(resolution, query, connection)
            case .failure(let error):
                log.error("directory does not answer", metadata: ["error": "\(error)"])
                session.recipientResolved(
                    .deferred(Reason(451, "4.3.0", "the directory cannot be asked now, try again later")))
            }
            run(connection)
        }
    }

    private static func answer(
        to query: SMTPRecipientQuery, from directory: CachedDirectory
    ) async -> Result<Resolution, DirectoryError> {
        do throws(DirectoryError) {
            let found = try await directory.resolve(query.address)
            guard let mailbox = query.mailbox, !isAnswer(found, to: query) else { return .success(found) }
            // An account may have an address that only looks like a numbered mailbox.
            return .success(try await directory.resolve(EmailAddress(local: mailbox.local, domain: mailbox.domain)))
        } catch {
            return .failure(error)
        }
    }

    /// Whether the address leads to the mailbox that a site means, or is that mailbox's only one.
    private static func isAnswer(_ resolution: Resolution, to query: SMTPRecipientQuery) -> Bool {
        guard let mailbox = query.mailbox, mailbox.local != query.address.local else { return true }
        return resolution.destinations.contains { $0.mailbox == mailbox }
    }

    private func resolved(_ resolution: Resolution, _ query: SMTPRecipientQuery, _ connection: Connection) {
        if resolution == .foreignDomain, let relay = relay(for: query, connection) {
            return relayed(query, by: relay, connection)
        }
        var verdict = frontend.verdict(on: resolution, for: query, eventLoop: connection.eventLoop)
        let destinations = resolution.destinations.filter { query.mailbox == nil || $0.mailbox == query.mailbox }
        if verdict.isAccepted, !recipients.add(destinations, of: query.transaction) {
            verdict = .deferred(Reason(452, "4.5.3", "too many mailboxes for one message"))
        }
        resolved(query, verdict)
    }

    private func resolved(_ query: SMTPRecipientQuery, _ verdict: Verdict) {
        log.log(
            level: verdict.isAccepted ? .debug : .info, "recipient",
            metadata: ["address": "\(query.address)", "verdict": "\(verdict)"])
        session.recipientResolved(verdict)
    }

    /// The way to a recipient elsewhere, if this client may use it.
    private func relay(for query: SMTPRecipientQuery, _ connection: Connection) -> RelaySettings? {
        guard query.user?.site == nil else { return nil }
        let isTrusted = query.user != nil || listener.relayFrom.contains { $0.contains(connection.peer.address) }
        return frontend.relays.relay(for: query.address.domain, isTrusted: isTrusted)
    }

    private func relayed(_ query: SMTPRecipientQuery, by relay: RelaySettings, _ connection: Connection) {
        var verdict = frontend.verdictOnNodes(for: query, eventLoop: connection.eventLoop)
        let first = Int(StableHash.xxh64("\(query.address)") % UInt64(RelayQueue.count))
        if verdict.isAccepted, !recipients.add(query.address, relay: relay.name, first: first, of: query.transaction) {
            verdict = .deferred(Reason(452, "4.5.3", "too many recipients elsewhere for one message"))
        }
        resolved(query, verdict)
    }

    // MARK: the message

    private func start(_ envelope: SMTPEnvelope, _ connection: Connection) {
        // What comes from another site has its name, and stays as it is there.
        let identity = envelope.name ?? frontend.identifiers.message()
        recipients.begin()
        let delivery = MessageDelivery(
            identity: identity, sender: envelope.sender, isUTF8: envelope.utf8, content: envelope.content,
            sitePath: envelope.sitePath, destinations: recipients.destinations, frontend: frontend,
            eventLoop: connection.eventLoop)
        if envelope.content == .message {
            delivery.append(
                TraceHeaders.received(
                    envelope, hostname: listener.session.hostname, identity: identity, seconds: frontend.clock.seconds()
                ))
        }
        delivery.unblocked = { [self] in
            guard waiting == .nodes, message?.isBlocked == false else { return }
            waiting = .no
            run(connection)
        }
        message = delivery
        textBegun = false
        session.messageStarted(.accepted)
    }

    private func append(_ range: Range<Int>, _ connection: Connection) {
        guard let message else { preconditionFailure("message text without a message") }
        let start = connection.unread.readerIndex + range.lowerBound
        guard let piece = connection.unread.getSlice(at: start, length: range.count) else {
            preconditionFailure("message text \(range) outside the unread bytes")
        }
        if !textBegun {
            textBegun = true
            message.append(TraceHeaders.separator(session.headerFindings))
        }
        if isLMTP, message.startsStreaming(with: piece.readableBytes) { leaveOutLoops(session.headerFindings, message) }
        message.append(piece)
        if message.isBlocked { waiting = .nodes }
    }

    private var isLMTP: Bool { listener.session.service.isLMTP }

    /// In LMTP, where each recipient has an answer of its own, those that are in no loop get the message.
    private func leaveOutLoops(_ header: HeaderScanner.Findings, _ message: MessageDelivery) {
        guard let looping = recipients.refuseLoops(header) else { return }
        log.warning("mail loop", metadata: ["message": "\(message.identity)", "recipient": "\(looping)"])
        message.narrow(to: recipients.destinations)
    }

    private func finish(_ id: SMTPTransactionID, _ summary: SMTPMessageSummary, _ connection: Connection) {
        guard let message else { preconditionFailure("end of a message without a message") }
        self.message = nil
        if isLMTP, !message.isStreaming { leaveOutLoops(summary.header, message) }
        if let looping = recipients.refuseLoops(summary.header) {
            log.warning("mail loop", metadata: ["message": "\(message.identity)", "recipient": "\(looping)"])
            message.abandon()
            return session.messageStored(id, recipients.replies(RecipientRoutes.loop(looping), isLMTP: isLMTP))
        }
        if recipients.destinations.isEmpty {
            message.abandon()
            return session.messageStored(id, recipients.replies([], isLMTP: isLMTP))
        }
        // A site's next message is read meanwhile.
        let isSite = session.user?.site != nil
        if !isSite { waiting = .answer }
        inFlight += 1
        connection.owesAnswer = true
        if summary.appendLineEnd { message.append([0x0D, 0x0A]) }
        let began = frontend.clock.monotonic()
        var isInside = true
        message.finish { [self, recipients] verdicts in
            let took = frontend.clock.monotonic() - began
            let replies = recipients.replies(verdicts, isLMTP: isLMTP)
            frontend.metrics.messageEnded(replies, octets: summary.byteCount, took: took)
            log.info(
                "message",
                metadata: [
                    "message": .string(message.identity.text), "octets": .string(String(summary.byteCount)),
                    "from": .string(message.sender.description), "to": .string(recipients.summary),
                    "took": .string(took.description),
                    "verdict": .string((replies.first ?? .deferred(.unexpected)).description),
                ])
            inFlight -= 1
            connection.owesAnswer = inFlight > 0
            guard !ended else { return }
            if !isSite { waiting = .no }
            session.messageStored(id, replies, note: message.identity.text)
            // Known at once: the loop that brought us here goes on by itself.
            if !isInside { run(connection) }
        }
        isInside = false
    }
}
