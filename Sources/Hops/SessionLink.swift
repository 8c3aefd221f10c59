package import NIOCore
import POP3
package import Wire

/// The way from one event loop to one storage node for POP3 sessions: a connection that they share.
package final class SessionLink {
    private let target: () -> DialTarget
    private let idleTimeout: Duration
    private let eventLoop: any EventLoop
    private var current: SharedConnection?

    /// - Parameters:
    ///   - target: where the node takes POP3; asked for each connection.
    ///   - idleTimeout: how long a connection without sessions is kept.
    package init(target: @escaping () -> DialTarget, idleTimeout: Duration, eventLoop: any EventLoop) {
        self.target = target
        self.idleTimeout = idleTimeout
        self.eventLoop = eventLoop
    }

    /// What a session was begun on.
    package struct Way {
        fileprivate let connection: SharedConnection
        /// The connection was made for this session. If it was there before, it may break, or turn out not to come up, for a
        /// reason that is no more: then the session is worth another try.
        package let isFresh: Bool

        /// The session found no sign of life: the next one has a new connection. Those that are under way keep theirs.
        package func distrust() { connection.retire() }
    }

    /// Begins a session of `conversation`, which hears `opened` at once, and `closed` if the node is not reached.
    @discardableResult
    package func open(_ conversation: any Conversation) -> Way {
        let (connection, isFresh) = connection()
        connection.open(conversation)
        return Way(connection: connection, isFresh: isFresh)
    }

    /// No session will be opened any more; the connection ends with the last one.
    package func quit() {
        current?.retire()
        current = nil
    }

    private func connection() -> (SharedConnection, isFresh: Bool) {
        if let current, current.takesStreams { return (current, false) }
        let fresh = SharedConnection(eventLoop: eventLoop, idleTimeout: idleTimeout)
        current = fresh
        Dialer.connect(target(), on: eventLoop, conversation: StreamsRequest(fresh))
        return (fresh, true)
    }
}

/// Asks a node to carry many sessions on one connection.
private final class StreamsRequest: Conversation {
    private let shared: SharedConnection
    private var session = POP3ClientSession()

    init(_ shared: SharedConnection) {
        self.shared = shared
        session.send(.xstreams)
    }

    // Until the answer, the time for connecting goes on.
    func opened(_ connection: Connection) {
        connection.write(session.takeOutput())
        connection.flush()
    }

    func received(_ connection: Connection) {
        while connection.isOpen {
            let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
            connection.consume(step.consumed)
            switch step.event {
            case .needBytes:
                if connection.inputEnded { connection.abort() }
                return
            case .greeting(let reply) where reply.isOK:
                continue
            case .reply(.xstreams, let reply) where reply.isOK:
                return shared.begin(on: connection)
            case .greeting(let reply), .reply(_, let reply):
                return fail("the node refuses: \(reply.explanation)", connection)
            case .violation(let why):
                return fail("the node broke the protocol: \(why)", connection)
            case .line, .body, .end:
                return fail("the node answered what was not asked", connection)
            }
        }
    }

    private func fail(_ why: String, _ connection: Connection) {
        // Sessions hear of the end once: that it is closed says less.
        shared.closed(.failed(why))
        connection.abort()
    }

    func draining(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        fail("the node does not answer", connection)
    }
    func closed(_ reason: ConnectionEnd) { shared.closed(reason) }
}
