import Hops
import Logging
import Mail
import NIOCore
import SMTP
import Wire

/// A client's connection after ATRN (RFC 2645 §4): the client is the server now, and gets the mail that waits for it.
final class TurnedConnection: Conversation {
    private let connection: Connection
    private let queues: FetchedQueues
    private let log: Logger
    private var session: SMTPClientSession
    private var message: FetchedQueues.Message?
    /// The message's text, while it is being written.
    private var sending: TextSending?
    private var lastID: UInt64 = 0
    /// A node is being told what became of the last message.
    private var isSettling = false
    private var isDraining = false
    private var isOver = false

    init(_ connection: Connection, queues: FetchedQueues, hostname: String, log: Logger) {
        self.connection = connection
        self.queues = queues
        self.log = log
        session = SMTPClientSession(
            settings: SMTPClientSettings(mode: .smtp, clientName: hostname), isTLS: connection.isTLS)
    }

    func begin() {
        connection.handOver(to: self)
        connection.flush()
        connection.wantsBytes = true
        received(connection)
    }

    private func sendNext() {
        if isDraining {
            session.quit()
            return carryOutEvents()
        }
        queues.next { [self] next in
            guard !isOver else { return queues.close() }
            message = next
            guard let next else {
                session.quit()
                return carryOutEvents()
            }
            lastID += 1
            session.submit(
                SMTPClientTransaction(
                    id: SMTPTransactionID(lastID), sender: next.envelope.sender,
                    recipients: [SMTPRecipient(address: next.envelope.recipient)],
                    byteCount: next.text.byteCount, utf8: next.envelope.needsUTF8,
                    asksFirst: next.text.byteCount > Self.unaskedBytesMax))
            connection.madeProgress()
            carryOutEvents()
        }
    }

    private func carryOutEvents() {
        var events = session.takeEvents()
        while !events.isEmpty {
            for event in events { carryOut(event) }
            events = session.takeEvents()
        }
        connection.write(session.takeOutput())
        connection.flush()
    }

    private func carryOut(_ event: SMTPClientSession.Event) {
        switch event {
        case .ready:
            sendNext()
        case .bodyWanted(let id, let form):
            connection.write(session.takeOutput())
            guard let message else { return connection.abort() }
            send(message.text, as: form, id)
        case .verdicts(_, let verdicts):
            // Its octets were announced, and will not follow any more.
            if sending != nil { connection.abort() }
            stopSending()
            settle(verdicts.first ?? .deferred(.unexpected))
        case .interrupted:
            break
        case .closed:
            end()
            connection.close()
        case .startTLS, .startedStreaming:
            preconditionFailure("a turned connection was told \(event)")
        }
    }

    /// A larger text is sent only when its recipient was accepted.
    private static let unaskedBytesMax = 1 << 20

    private func send(_ text: FetchedText, as form: SMTPClientSession.BodyForm, _ id: SMTPTransactionID) {
        let fresh = TextSending(text, dotStuffed: form == .dotStuffed, on: connection) { [self] isWhole in
            sending = nil
            guard isWhole else { return connection.abort() }
            session.bodySent(id)
            carryOutEvents()
        }
        sending = fresh
        fresh.goOn()
    }

    private func stopSending() {
        sending?.stop()
        sending = nil
    }

    private func settle(_ verdict: Verdict) {
        if let message {
            log.info(
                "fetched",
                metadata: [
                    "from": "\(message.envelope.sender)", "to": "\(message.envelope.recipient)",
                    "verdict": "\(verdict)",
                ])
        }
        message?.text.close()
        message = nil
        isSettling = true
        queues.settle(verdict) { [self] in
            isSettling = false
            if isOver { queues.close() } else { sendNext() }
        }
    }

    private func end() {
        guard !isOver else { return }
        isOver = true
        stopSending()
        if !isSettling { queues.close() }
    }

    // MARK: Conversation

    func opened(_ connection: Connection) {}

    func received(_ connection: Connection) {
        let consumed = connection.unread.withUnsafeReadableBytes { session.receive($0) }
        connection.consume(consumed)
        if consumed > 0 { connection.madeProgress() }
        if connection.inputEnded { session.connectionLost() }
        carryOutEvents()
    }

    func writable(_ connection: Connection) { sending?.goOn() }

    /// What is under way has its answer first.
    func draining(_ connection: Connection) {
        isDraining = true
        if session.load == 0, !isSettling { sendNext() }
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) { connection.abort() }

    func closed(_ reason: ConnectionEnd) {
        session.connectionLost()
        carryOutEvents()
        end()
    }
}
