import Mail
package import NIOCore
import SMTP
package import Wire

/// A large message on its way to one storage node, on a connection of its own: what comes from the client goes on at
/// once, in BDAT chunks, and nothing is kept.
package final class MessageStream: Conversation {
    private let transaction: NodeTransaction
    private let times: ConnectionTimes
    private let changed: () -> Void
    private let stalled: (MessageStream) -> Void
    private let failed: (String) -> Void
    private let settings: LinkSession
    private let target: DialTarget
    private var session: SMTPClientSession
    private var connection: Connection?
    /// What came before the node was ready for it.
    private var held = ByteBuffer()
    private var state = State.opening
    private var stall: Scheduled<Void>?
    private let stallTimeout: Duration
    private let lagTimeout: Duration

    private enum State: Equatable {
        case opening
        /// As `opening`, but the message is whole already.
        case openingWhole
        case streaming
        case ended
    }

    private static let id = SMTPTransactionID(1)

    /// - Parameters:
    ///   - transaction: told the outcome; its own body is not used.
    ///   - times: the connection's clocks once it stands: a client may be slow, but not for ever.
    ///   - stallTimeout: how long the node may leave what it was sent untaken.
    ///   - lagTimeout: how long it may do so before `stalled` is called.
    ///   - failed: told why, if the connection does not come up, or the node does not answer on it in time.
    ///   - changed: called when `isBlocked` may have become false.
    package init(
        transaction: NodeTransaction, session settings: LinkSession, target: DialTarget, times: ConnectionTimes,
        stallTimeout: Duration, lagTimeout: Duration, changed: @escaping () -> Void,
        stalled: @escaping (MessageStream) -> Void, failed: @escaping (String) -> Void
    ) {
        self.transaction = transaction
        self.times = times
        self.stallTimeout = stallTimeout
        self.lagTimeout = lagTimeout
        self.changed = changed
        self.stalled = stalled
        self.failed = failed
        self.settings = settings
        self.target = target
        session = settings.begin(at: target)
        transaction.expired = { [weak self] in self?.giveUp() }
        session.beginStreaming(transaction.smtp(id: Self.id, byteCount: transaction.size))
    }

    /// Whether the client must wait: the node is not ready, or has not taken what it was sent.
    package var isBlocked: Bool {
        switch state {
        case .opening, .openingWhole: true
        case .streaming: !(connection?.isWritable ?? false)
        case .ended: false
        }
    }

    /// Whether the node may still store the message.
    package var isGoing: Bool { state != .ended }

    package func send(_ bytes: ByteBuffer) {
        switch state {
        case .opening: held.writeImmutableBuffer(bytes)
        case .streaming: sendChunk(bytes, isLast: false)
        case .openingWhole, .ended: break
        }
    }

    /// The message ends here: the node is to store it.
    package func finish() {
        switch state {
        case .opening: state = .openingWhole
        case .streaming: sendChunk(ByteBuffer(), isLast: true)
        case .openingWhole, .ended: break
        }
    }

    package func abandon() {
        state = .ended
        held = ByteBuffer()
        stall?.cancel()
        transaction.finish(.deferred(.unexpected))
        connection?.abort()
        changed()
    }

    private func sendChunk(_ bytes: ByteBuffer, isLast: Bool) {
        guard bytes.readableBytes > 0 || isLast, let connection else { return }
        guard session.chunk(Self.id, byteCount: bytes.readableBytes, isLast: isLast) else { return }
        connection.write(session.takeOutput())
        connection.write(bytes)
        connection.flush()
        connection.madeProgress()
        if !connection.isWritable { watchForStall(connection) }
    }

    // MARK: Conversation

    package func opened(_ connection: Connection) {
        guard state != .ended else { return connection.abort() }
        self.connection = connection
        connection.setTimes(times)
        watchForStall(connection)
    }

    /// The node must take what it was sent within the answer's time, or its client would wait for a node that hangs.
    private func watchForStall(_ connection: Connection) {
        stall?.cancel()
        stall = connection.after(min(lagTimeout, stallTimeout)) { [self] in
            stalled(self)
            guard state != .ended, lagTimeout < stallTimeout else { return giveUp() }
            stall = connection.after(stallTimeout - lagTimeout) { [self] in giveUp() }
        }
    }

    private func giveUp() {
        end(.unanswered, "the node does not answer")
        connection?.abort()
    }

    package func received(_ connection: Connection) {
        let consumed = connection.unread.withUnsafeReadableBytes { session.receive($0) }
        connection.consume(consumed)
        if connection.inputEnded { session.connectionLost() }
        carryOutEvents(connection)
    }

    private func carryOutEvents(_ connection: Connection) {
        for event in session.takeEvents() { carryOut(event, connection) }
        // What announces TLS is written by then.
        connection.write(session.takeOutput())
        connection.flush()
    }

    package func writable(_ connection: Connection) {
        stall?.cancel()
        changed()
    }

    package func tlsStarted(_ connection: Connection) {
        session.tlsStarted()
        carryOutEvents(connection)
    }

    package func draining(_ connection: Connection) {}

    /// The node took everything, and nothing comes: from the client, or from the node.
    package func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        end(.unanswered)
        connection.abort()
    }

    package func closed(_ reason: ConnectionEnd) {
        let why = if case .failed(let why) = reason { why } else { "the node closed the connection" }
        end(.unanswered, why)
    }

    private func carryOut(_ event: SMTPClientSession.Event, _ connection: Connection) {
        switch event {
        case .ready:
            break
        case .startedStreaming:
            startStreaming(connection)
        case .verdicts(_, let verdicts):
            state = .ended
            held = ByteBuffer()
            stall?.cancel()
            transaction.finish(verdicts)
            session.abandonStreaming(Self.id)
            session.quit()
            changed()
        case .interrupted:
            end(.unanswered, "the node ended the connection")
        case .closed:
            connection.close()
        case .startTLS:
            settings.startTLS(on: connection, to: target)
        case .bodyWanted:
            preconditionFailure("a stream was told \(event)")
        }
    }

    private func startStreaming(_ connection: Connection) {
        stall?.cancel()
        let whole = state == .openingWhole
        guard whole || state == .opening else { return }
        state = .streaming
        sendChunk(held, isLast: whole)
        held = ByteBuffer()
        changed()
    }

    /// - Parameter failure: what the node did, if it is to blame.
    private func end(_ verdict: Verdict, _ failure: String? = nil) {
        guard state != .ended else { return }
        state = .ended
        failure.map(failed)
        held = ByteBuffer()
        stall?.cancel()
        transaction.finish(verdict)
        changed()
    }
}
