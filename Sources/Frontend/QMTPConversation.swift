import CoreMetrics
import Logging
import Mail
import Membership
import NIOCore
import QMTP
import SMTP
import Wire

/// Drives one client's QMTP or QMQP session on a frontend. The text of a message waits here until its envelope has come.
final class QMTPConversation<Session: PackageSession & ~Copyable>: Conversation {
    private let frontend: FrontendContext
    private let listener: QMTPListenerSettings
    private let intake: MessageIntake
    private let peer: SMTPPeer
    private var session: Session
    private let log: Logger
    /// The message that is coming in, or whose recipients are looked up.
    private var text: HeldText?
    private var scanner = HeaderScanner()
    private var waiting = Waiting.no
    private var isRunning = false
    /// No message is taken after the one that has begun, if one has.
    private var isLast = false
    private var ended = false
    private var messageCount: UInt64 = 0
    /// Since the last message was accepted.
    private var refusedRecipients = 0
    /// Octets since the idle clock was set back.
    private var quietBytes = 0

    private enum Waiting {
        case no
        /// For the directory, or for the nodes to store.
        case answer
        /// For the nodes to take more of a large message.
        case nodes
    }

    init(frontend: FrontendContext, listener: QMTPListenerSettings, connection: Connection) {
        self.frontend = frontend
        self.listener = listener
        peer = SMTPPeer(address: connection.peer.isLocal ? "" : connection.peer.address)
        session = Session(limits: listener.sessionLimits)
        var log = frontend.log
        log[metadataKey: "connection"] = "\(frontend.identifiers.connection())"
        log[metadataKey: "client"] = "\(connection.peer.address)"
        self.log = log
        intake = MessageIntake(
            frontend: frontend, hostname: listener.hostname, answersEach: Session.answersEach,
            mayRelay: listener.relayFrom.contains { $0.contains(connection.peer.address) },
            eventLoop: connection.eventLoop, log: log)
        connection.setTimes(listener.times)
    }

    // MARK: what happens on the wire

    func opened(_ connection: Connection) {
        frontend.metrics.qmtpConnections.increment()
        log.debug("connected", metadata: ["service": "\(Session.protocolName)"])
        run(connection)
    }

    func received(_ connection: Connection) { run(connection) }

    func writable(_ connection: Connection) { run(connection) }

    func tlsStarted(_ connection: Connection) { preconditionFailure("TLS in \(Session.protocolName)") }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        // While the client waits for us, its clock stands still.
        if case .idle = timeout, waiting != .no { return }
        log.info("timed out", metadata: ["clock": "\(timeout)"])
        // A message that came whole has its answer first, or its sender would send it again.
        isLast = true
        if waiting == .no { end(connection) }
    }

    func draining(_ connection: Connection) {
        isLast = true
        run(connection)
    }

    func closed(_ reason: ConnectionEnd) {
        ended = true
        drop()
        log.debug("closed", metadata: ["reason": "\(reason)"])
    }

    private func end(_ connection: Connection) {
        ended = true
        drop()
        connection.write(session.takeOutput())
        connection.closeLingering()
    }

    private func drop() {
        text = nil
        intake.abandon()
    }

    // MARK: what the session says

    private func run(_ connection: Connection) {
        guard !isRunning, !ended else { return }
        isRunning = true
        var goesOn = true
        while goesOn, waiting == .no, !ended, connection.isWritable {
            if isLast, session.isBetweenMessages {
                end(connection)
                break
            }
            let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
            connection.consume(step.consumed)
            count(step.consumed, connection)
            goesOn = carryOut(step.action, connection)
        }
        isRunning = false
        guard !ended else { return }
        connection.write(session.takeOutput())
        connection.flush()
        connection.wantsBytes = waiting == .no && connection.isWritable
    }

    /// Single bytes are no progress, or a client could hold a connection open with one of them a minute.
    private func count(_ bytes: Int, _ connection: Connection) {
        quietBytes += bytes
        guard quietBytes >= 1024 else { return }
        quietBytes = 0
        connection.madeProgress()
    }

    /// Does what the session says. False when it has nothing more to do for now.
    private func carryOut(_ action: QMTPServerAction, _ connection: Connection) -> Bool {
        switch action {
        case .proceed:
            return true
        case .needBytes:
            if connection.inputEnded { end(connection) }
            return false
        case .startMessage:
            start()
        case .body(let bytes):
            append(bytes)
        case .abandonMessage:
            text = nil
        case .endMessage(let envelope):
            connection.madeProgress()
            waiting = .answer
            connection.owesAnswer = true
            if case .address(let sender) = envelope.sender, !SMTPPath.canSay(sender) {
                answer(envelope.recipients.map { _ in .refused(.badSender) }, connection)
            } else {
                resolve(envelope, [], connection)
            }
        case .close(let reason):
            if let reason { log.info("connection ended", metadata: ["reason": "\(reason)"]) }
            end(connection)
            return false
        }
        return true
    }

    private func start() {
        messageCount += 1
        if messageCount > UInt64(listener.limits.transactionsMax) {
            isLast = true
            let reason = Reason(421, "4.7.0", "too many messages on one connection")
            return session.messageStarted(.deferred(reason))
        }
        text = HeldText(frontend.textMemory)
        scanner = HeaderScanner()
        session.messageStarted(.accepted)
    }

    private func append(_ bytes: [UInt8]) {
        guard let text else { preconditionFailure("message text without a message") }
        bytes.withUnsafeBytes { scanner.scan($0) }
        if scanner.findings.receivedCount > listener.limits.receivedMax {
            refuse(.refused(Reason(554, "5.4.6", "message was received too often: routing loop")))
        } else if !text.append(bytes) {
            refuse(.deferred(Reason(452, "4.3.1", "too many messages are coming in now, try again later")))
        }
    }

    private func refuse(_ verdict: Verdict) {
        log.info("message not taken", metadata: ["verdict": "\(verdict)"])
        text = nil
        session.refuseMessage(verdict)
    }

    // MARK: a whole message

    /// Asks for one recipient after the other.
    private func resolve(_ envelope: QMTPEnvelope, _ known: [Verdict], _ connection: Connection) {
        var verdicts = known
        while verdicts.count < envelope.recipients.count {
            let address = envelope.recipients[verdicts.count]
            // The nodes are told it in SMTP, and who relays it too.
            guard SMTPPath.canSay(address) else {
                verdicts.append(.refused(.badRecipient))
                continue
            }
            let query = SMTPRecipientQuery(
                transaction: SMTPTransactionID(messageCount), address: address,
                sender: envelope.sender, user: nil)
            let verdict = intake.verdict(on: query, connection) { [self, verdicts] verdict in
                guard !ended else { return }
                resolve(envelope, verdicts + [verdict], connection)
            }
            guard let verdict else { return }
            verdicts.append(verdict)
        }
        deliver(envelope, verdicts, connection)
    }

    private func deliver(_ envelope: QMTPEnvelope, _ verdicts: [Verdict], _ connection: Connection) {
        refusedRecipients += verdicts.count { if case .refused = $0 { true } else { false } }
        if refusedRecipients > listener.limits.refusedRecipientsMax { isLast = true }
        let accepted = zip(envelope.recipients, verdicts).filter { $0.1.isAccepted }.map(\.0)
        guard !accepted.isEmpty, Session.answersEach || accepted.count == verdicts.count else {
            return answer(verdicts, connection)
        }
        var arriving = SMTPEnvelope(
            id: SMTPTransactionID(messageCount), sender: envelope.sender,
            trace: SMTPTrace(clientName: "", peer: peer, transmission: Session.protocolName))
        arriving.recipients = accepted.map { SMTPRecipient(address: $0) }
        arriving.utf8 = envelope.hasUTF8Address
        intake.start(arriving) { [self] in
            guard waiting == .nodes, !intake.isBlocked else { return }
            waiting = .answer
            send(envelope, verdicts, connection)
        }
        send(envelope, verdicts, connection)
    }

    private func send(_ envelope: QMTPEnvelope, _ verdicts: [Verdict], _ connection: Connection) {
        while let piece = text?.next() {
            intake.append(piece, scanner.findings)
            guard !intake.isBlocked else {
                waiting = .nodes
                return
            }
        }
        let summary = SMTPMessageSummary(
            byteCount: envelope.byteCount, appendLineEnd: envelope.endsInsideLine, header: scanner.findings)
        intake.finish(summary) { [self] replies, _ in
            if replies.contains(.accepted) { refusedRecipients = 0 }
            guard Session.answersEach else { return answer(replies, connection) }
            var replies = replies[...]
            answer(verdicts.map { $0.isAccepted ? replies.popFirst() ?? .deferred(.unexpected) : $0 }, connection)
        }
    }

    private func answer(_ verdicts: [Verdict], _ connection: Connection) {
        text = nil
        connection.owesAnswer = false
        guard !ended else { return }
        waiting = .no
        connection.madeProgress()
        session.messageEnded(verdicts)
        run(connection)
    }
}

extension QMTPEnvelope {
    /// Whether the nodes must be told so (RFC 6531).
    fileprivate var hasUTF8Address: Bool { !sender.isASCII || !recipients.allSatisfy(\.isASCII) }
}
