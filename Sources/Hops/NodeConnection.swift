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
    var hasRoom: Bool { session.isReady && !isOver && session.load < inFlightMax && connection?.isWritable ?? false }

    func submit(_ transaction: NodeTransaction) {
        // A connection that was quiet for long is not a node that hangs.
        if session.load == 0, let connection {
            connection.madeProgress()
            if link.isPatient { link.setClock(connection, isBusy: true) }
        }
        lastID += 1
        let id = SMTPTransactionID(lastID)
        transactions[id] = transaction
        // What is pipelined behind a transaction that hangs goes out again, on another connection.
        transaction.expired = { [weak self] in self?.fail("the node does not answer") }
        session.submit(transaction.smtp(id: id, byteCount: transaction.body.readableBytes))
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

    func writable(_ connection: Connection) { link.pump() }
    func tlsStarted(_ connection: Connection) {
        session.tlsStarted()
        carryOutEvents()
        connection.flush()
    }

    func draining(_ connection: Connection) {}

    /// Quiet for long: with messages in flight the node hangs; without, nobody needs the connection.
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
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
            connection?.write(form == .raw ? transaction.body : DotStuffer.whole(transaction.body))
            session.bodySent(id)
        case .verdicts(let id, let verdicts):
            transactions.removeValue(forKey: id)?.finish(verdicts)
            link.pump()
            if link.isPatient, session.load == 0, let connection { link.setClock(connection, isBusy: false) }
        case .interrupted(let id, let bodySent):
            if let transaction = transactions.removeValue(forKey: id) {
                transaction.isRepeat = transaction.isRepeat || bodySent
                link.resubmit(transaction)
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
