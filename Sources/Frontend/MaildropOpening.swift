import NIOCore
import POP3
import Wire

/// Opens a mailbox at its storage node: one POP3 conversation up to the answer to XOPEN, whose stream then carries the
/// client's session.
final class MaildropOpening: Conversation {
    enum Failure: Error {
        /// The node is down, or does not speak to us.
        case unreachable(String)
        /// The connection to it ended before it had greeted, or did not come up.
        case lost(String)
        /// It did not even greet: it hangs, or the connection to it is dead.
        case silent
        /// The node says that it cannot open the mailbox now.
        case refused(POP3ResponseCode, String)
    }

    enum Outcome {
        /// With the node's word on it, such as how many messages there are.
        case opened(Connection, text: String)
        case failed(Failure)
    }

    private let request: POP3OpenRequest
    private let greetingTimeout: Duration
    private let timeout: Duration
    private var session = POP3ClientSession()
    private var isGreeted = false
    private var finished: ((Outcome) -> Void)?

    /// - Parameters:
    ///   - greetingTimeout: how long the node may take to be reached and to greet.
    ///   - timeout: how long it may then take to open the mailbox.
    ///   - finished: called once; after `.opened` the connection waits to be handed over.
    init(
        request: POP3OpenRequest, greetingTimeout: Duration, timeout: Duration, finished: @escaping (Outcome) -> Void
    ) {
        self.request = request
        self.greetingTimeout = greetingTimeout
        self.timeout = timeout
        self.finished = finished
        session.send(.xopen(request.mailbox, utf8: request.utf8, language: request.language, ahead: true))
    }

    func opened(_ connection: Connection) {
        connection.setTimes(ConnectionTimes(idle: greetingTimeout, total: .zero))
        // The greeting need not be waited for: a node takes the command with it.
        connection.write(session.takeOutput())
        connection.flush()
    }

    func received(_ connection: Connection) {
        while finished != nil {
            let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
            connection.consume(step.consumed)
            switch step.event {
            case .needBytes:
                if connection.inputEnded { fail(end("the node closed the connection"), connection) }
                return
            case .greeting(let reply) where reply.isOK:
                isGreeted = true
                // Listing a large mailbox that nobody has opened for long takes its time.
                connection.setTimes(ConnectionTimes(idle: timeout, total: .zero))
                continue
            case .reply(.xopen, let reply) where reply.isOK:
                return finish(.opened(connection, text: reply.explanation))
            case .greeting(let reply), .reply(_, let reply):
                return fail(.refused(reply.code ?? .systemTemporary, reply.explanation), connection)
            case .violation(let why):
                return fail(.unreachable("the node broke the protocol: \(why)"), connection)
            case .line, .body, .end:
                return fail(.unreachable("the node answered what was not asked"), connection)
            }
        }
    }

    func draining(_ connection: Connection) {}

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        fail(isGreeted ? .unreachable("the node does not answer") : .silent, connection)
    }

    func closed(_ reason: ConnectionEnd) {
        finish(.failed(end("\(reason)")))
    }

    private func end(_ why: String) -> Failure { isGreeted ? .unreachable(why) : .lost(why) }

    private func fail(_ failure: Failure, _ connection: Connection) {
        connection.abort()
        finish(.failed(failure))
    }

    private func finish(_ outcome: Outcome) {
        finished?(outcome)
        finished = nil
    }
}
