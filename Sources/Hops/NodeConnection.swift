import Mail
import NIOCore
import SMTP
import Wire

/// One connection to a storage node or another site, which many messages share: their transactions are pipelined on it.
final class NodeConnection: Conversation {
    private let link: NodeLink
    private let settings: LinkSession
    private let target: DialTarget
    private var session: SMTPClientSession
    private var connection: Connection?
    private var transactions: [SMTPTransactionID: NodeTransaction] = [:]
    private var lastID: UInt64 = 0
    /// A large text that has the connection for itself, until it is written.
    private var largeID: SMTPTransactionID?
    private var sending: TextSending?
    private let inFlightMax: Int
    private var wasReady = false
    /// Why the conversation ended, unless we ended it.
    private var failure: String?

    init(link: NodeLink, session settings: LinkSession, target: DialTarget) {
        self.link = link
        self.target = target
        self.settings = settings
        session = settings.begin(at: target)
        inFlightMax = settings.smtp.transactionsInFlightMax
    }

    /// It has not come up yet.
    var isConnecting: Bool { !wasReady && !isOver }
    /// It takes no more messages.
    private(set) var isOver = false
    var load: Int { session.load }
    var hasRoom: Bool {
        session.isReady && !isOver && session.load < inFlightMax && largeID == nil && connection?.isWritable ?? false
    }

    func submit(_ transaction: NodeTransaction) {
        // A connection that was quiet for long is not a node that hangs.
        if session.load == 0, let connection {
            connection.madeProgress()
            if link.isPatient { link.setClock(connection, isBusy: true) }
        }
        lastID += 1
        let id = SMTPTransactionID(lastID)
        transactions[id] = transaction
        if transaction.large != nil { largeID = id }
        // What is pipelined behind a transaction that hangs goes out again, on another connection.
        transaction.expired = { [weak self] in self?.fail("the node does not answer") }
        session.submit(transaction.smtp(id: id, byteCount: transaction.byteCount))
        carryOutEvents()
        // Messages that arrive in one round of the event loop leave in one system call.
        connection?.flushSoon()
    }

    func quit() {
        isOver = true
        session.quit()
        carryOutEvents()
        connection?.flush()
    }

    // MARK: Conversation

    func opened(_ connection: Connection) {
        self.connection = connection
        carryOutEvents()
        connection.flush()
    }

    func received(_ connection: Connection) {
        let consumed = connection.unread.withUnsafeReadableBytes { session.receive($0) }
        connection.consume(consumed)
        if consumed > 0 {
            connection.madeProgress()
            // A server that greets, and then does not let us in, is of no use.
            if session.isReady { link.heard() }
        }
        if connection.inputEnded { session.connectionLost() }
        carryOutEvents()
        connection.flush()
    }

    func writable(_ connection: Connection) {
        sending?.goOn()
        link.pump()
    }

    func tlsStarted(_ connection: Connection) {
        session.tlsStarted()
        carryOutEvents()
        connection.flush()
    }

    func draining(_ connection: Connection) {}

    /// Quiet for long: with messages in flight the node hangs; without, nobody needs the connection.
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        // Not even our goodbye was answered.
        if isOver { return connection.abort() }
        if session.isReady, session.load == 0 { quit() } else { fail("the node does not answer") }
    }

    func fail(_ why: String) {
        guard !isOver else { return }
        failure = why
        isOver = true
        connection?.abort()
    }

    func closed(_ reason: ConnectionEnd) {
        // A connection that the node closes without our QUIT has failed, however orderly it was closed.
        if !isOver {
            switch reason {
            case .closed: failure = failure ?? "the node closed the connection"
            case .failed(let why): failure = failure ?? why
            }
        }
        sending?.stop()
        sending = nil
        session.connectionLost()
        carryOutEvents()
        isOver = true
        link.ended(self, failure.map { .failed($0) } ?? reason)
    }

    private func carryOutEvents() {
        var events = session.takeEvents()
        while !events.isEmpty {
            for event in events { carryOut(event) }
            events = session.takeEvents()
        }
        connection?.write(session.takeOutput())
    }

    private func send(
        _ large: any PiecewiseText, of transaction: NodeTransaction, _ id: SMTPTransactionID,
        _ form: SMTPClientSession.BodyForm, _ connection: Connection
    ) {
        let sending = TextSending(large, dotStuffed: form == .dotStuffed, on: connection) { [self] isWhole in
            self.sending = nil
            // Its octets were announced and are not there: what followed would be taken for them.
            guard isWhole else { return fail("a text cannot be read") }
            largeID = nil
            session.bodySent(id)
            link.setTimes(transaction)
            carryOutEvents()
            connection.flush()
            link.pump()
        }
        self.sending = sending
        sending.goOn()
    }

    private func carryOut(_ event: SMTPClientSession.Event) {
        switch event {
        case .ready:
            wasReady = true
            connection.map(link.ready)
        case .bodyWanted(let id, let form):
            connection?.write(session.takeOutput())
            guard let transaction = transactions[id], !transaction.isFinished else {
                // Its octets were announced and are gone: what followed would be taken for them.
                connection?.abort()
                return
            }
            transaction.sends += 1
            if let large = transaction.large, let connection {
                send(large, of: transaction, id, form, connection)
                return
            }
            connection?.write(form == .raw ? transaction.body : DotStuffer.whole(transaction.body))
            session.bodySent(id)
        case .verdicts(let id, let verdicts):
            let isUnasked = largeID == id && sending != nil
            if largeID == id { largeID = nil }
            transactions.removeValue(forKey: id)?.finish(verdicts)
            // Its octets were announced, and will not follow any more.
            if isUnasked { return fail("the server answered before it had the text") }
            link.pump()
            if link.isPatient, session.load == 0, let connection { link.setClock(connection, isBusy: false) }
        case .interrupted(let id, let bodySent):
            if let transaction = transactions.removeValue(forKey: id) {
                transaction.isRepeat = transaction.isRepeat || bodySent
                if bodySent, transaction.large != nil {
                    transaction.finish(.unanswered)
                } else {
                    link.resubmit(transaction)
                }
            }
        case .closed(let reason):
            if !isOver { failure = failure ?? reason.map { "\($0)" } }
            isOver = true
            connection?.close()
        case .startTLS:
            connection.map { settings.startTLS(on: $0, to: target) }
        case .startedStreaming:
            preconditionFailure("a shared connection was told \(event)")
        }
    }
}
