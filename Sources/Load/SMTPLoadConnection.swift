import Mail
import NIOCore
import SMTP
import Wire

/// Drives one `SMTPClientSession` over one connection.
final class SMTPLoadConnection: Conversation {
    private let slot: SMTPLoadSlot
    private let load: SMTPLoad
    private var session: SMTPClientSession
    private var connection: Connection?
    private var items: [SMTPTransactionID: SMTPLoadItem] = [:]
    private var wasReady = false
    private var refusal: Reason?
    /// A message that is being sent, as fast as it is taken.
    private var body: Body?

    private struct Body {
        let id: SMTPTransactionID
        let message: [UInt8]
        /// Nil where no dots are doubled.
        var stuffer: DotStuffer?
        var sent = 0
    }

    /// So much of a message is made ready at once: more would be memory that the system gives and takes back each time.
    private static let pieceBytes = 48 << 10

    init(slot: SMTPLoadSlot, load: SMTPLoad) {
        self.slot = slot
        self.load = load
        session = SMTPClientSession(settings: load.settings, isTLS: load.target.tls != nil)
    }

    var isReady: Bool { session.isReady }

    func submit(_ item: SMTPLoadItem) {
        guard let transaction = transaction(item) else {
            return slot.ended(item, item.addresses.map { _ in .replied(553) })
        }
        items[item.id] = item
        session.submit(transaction)
        carryOutEvents()
    }

    func quit() {
        session.quit()
        carryOutEvents()
    }

    private func transaction(_ item: SMTPLoadItem) -> SMTPClientTransaction? {
        var recipients: [SMTPRecipient] = []
        for text in item.addresses {
            guard let address = EmailAddress(text) else { return nil }
            let mailbox = load.namesMailboxes ? MailboxName(local: address.local, domain: address.domain) : nil
            recipients.append(SMTPRecipient(address: address, mailbox: mailbox))
        }
        return SMTPClientTransaction(
            id: item.id, sender: load.sender, recipients: recipients, byteCount: item.message.count,
            name: load.namesMailboxes ? MessageIdentity("\(item.token).load") : nil)
    }

    // MARK: Conversation

    func opened(_ connection: Connection) {
        self.connection = connection
        connection.setTimes(ConnectionTimes(idle: load.target.timeout, total: .zero))
    }

    func received(_ connection: Connection) {
        connection.madeProgress()
        connection.consume(connection.unread.withUnsafeReadableBytes { session.receive($0) })
        if connection.inputEnded { session.connectionLost() }
        carryOutEvents()
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        // A run with a low rate leaves connections quiet for long.
        if session.isReady, session.load == 0 { return }
        connection.abort()
    }

    func writable(_ connection: Connection) {
        guard body != nil else { return }
        connection.madeProgress()
        sendBody()
        carryOutEvents()
    }

    func draining(_ connection: Connection) {}

    func tlsStarted(_ connection: Connection) {
        session.tlsStarted()
        carryOutEvents()
    }

    func closed(_ reason: ConnectionEnd) {
        body = nil
        session.connectionLost()
        carryOutEvents()
        connection = nil
        slot.closed(self, trouble: wasReady ? nil : trouble(reason), forGood: (refusal?.code ?? 0) >= 500)
    }

    private func trouble(_ reason: ConnectionEnd) -> String {
        if case .failed(let text) = reason { return text }
        return refusal?.description ?? "the server closed the connection"
    }

    // MARK: the session's wishes

    private func carryOutEvents() {
        var events = session.takeEvents()
        while !events.isEmpty {
            for event in events { carryOut(event) }
            events = session.takeEvents()
        }
        guard session.hasOutput else { return }
        connection?.write(session.takeOutput())
        connection?.flush()
    }

    private func carryOut(_ event: SMTPClientSession.Event) {
        switch event {
        case .ready:
            wasReady = true
            slot.ready(self)
        case .bodyWanted(let id, let form):
            guard let item = items[id] else { return session.bodySent(id) }
            body = Body(id: id, message: item.message, stuffer: form == .dotStuffed ? DotStuffer() : nil)
            sendBody()
        case .verdicts(let id, let verdicts):
            if let item = items.removeValue(forKey: id) { slot.ended(item, verdicts.map(\.outcome)) }
        case .interrupted(let id, let bodySent):
            if let item = items.removeValue(forKey: id) { slot.interrupted(item, bodySent: bodySent) }
        case .closed(let reason):
            refusal = reason
            connection?.close()
        case .startTLS:
            connection?.write(session.takeOutput())
            if let tls = load.target.startTLS { connection?.startTLS(tls, name: nil) }
        case .startedStreaming:
            preconditionFailure("nothing was to be streamed")
        }
    }

    private func sendBody() {
        var output = session.takeOutput()
        while var body, let connection {
            let piece = body.sent..<min(body.message.count, body.sent + Self.pieceBytes)
            body.sent = piece.upperBound
            let isWhole = body.sent == body.message.count
            output.reserveCapacity(output.count + piece.count + piece.count / 32 + 16)
            body.message.withUnsafeBytes { message in
                let bytes = UnsafeRawBufferPointer(rebasing: message[piece])
                if body.stuffer == nil {
                    output.append(contentsOf: bytes)
                } else {
                    body.stuffer?.encode(bytes, into: &output)
                    if isWhole { body.stuffer?.finish(into: &output) }
                }
            }
            self.body = isWhole ? nil : body
            connection.write(output)
            connection.flush()
            if isWhole { return session.bodySent(body.id) }
            output = []
            guard connection.isWritable else { return }
        }
    }
}

extension Verdict {
    fileprivate var outcome: Ledger.Outcome {
        switch self {
        case .accepted: .replied(250)
        case .deferred(let reason), .refused(let reason): .replied(reason.code)
        }
    }
}
