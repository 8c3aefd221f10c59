package import NIOCore
package import POP3
package import Wire

/// Another node's copy of a mailbox, opened as it is (`XOPEN … LOCAL`): its names, its tombstones and its messages, one
/// after the other on a connection of its own.
package final class RemoteMaildrop: Conversation {
    /// Takes the pieces of a message, dots unstuffed, with CRLF line ends; when it can take no more, it calls `wait`.
    package typealias Sink = (_ piece: UnsafeRawBufferPointer, _ wait: (Wait) -> Void) -> Void
    /// Begins what has to end before more is given; that calls `goOn`.
    package typealias Wait = (_ goOn: @escaping () -> Void) -> Void

    private enum Request {
        case command(POP3ClientCommand, (Result<[[UInt8]], PeerError>) -> Void)
        case message(Int, sink: Sink, (Result<Void, PeerError>) -> Void)

        var command: POP3ClientCommand {
            switch self {
            case .command(let command, _): command
            case .message(let number, _, _): .retr(number)
            }
        }

        func fail(_ error: PeerError) {
            switch self {
            case .command(_, let then): then(.failure(error))
            case .message(_, _, let then): then(.failure(error))
            }
        }
    }

    private let timeout: Duration
    private var session = POP3ClientSession()
    private var connection: Connection?
    private var requests: [Request] = []
    private var lines: [[UInt8]] = []
    private var isWaiting = false
    private var isOver = false

    /// - Parameter timeout: how long the node may be silent while it is asked something.
    package init(timeout: Duration) { self.timeout = timeout }

    /// Connects; what was asked before goes out then.
    package func connect(_ target: DialTarget, on eventLoop: any EventLoop) {
        Dialer.connect(target, on: eventLoop, conversation: self)
    }

    /// Asks; the answer's lines, if it has any, go to `then`.
    package func ask(_ command: POP3ClientCommand, then: @escaping (Result<[[UInt8]], PeerError>) -> Void) {
        add(.command(command, then))
    }

    /// Reads message `number`; `then` is told when the sink has had all of it.
    package func read(_ number: Int, sink: @escaping Sink, then: @escaping (Result<Void, PeerError>) -> Void) {
        add(.message(number, sink: sink, then))
    }

    package func quit() {
        guard !isOver else { return }
        // Whoever closes first, this side has to: the node's end is only the end of what is heard.
        ask(.quit) { [self] _ in connection?.abort() }
    }

    /// Nobody wants the answers any more, nor the rest of a message.
    package func abandon() {
        end(.unreachable("nobody waits for it"))
        connection?.abort()
    }

    private func add(_ request: Request) {
        guard !isOver else { return request.fail(.unreachable("the connection is over")) }
        requests.append(request)
        session.send(request.command)
        writeOutput()
    }

    private func writeOutput() {
        guard let connection else { return }
        connection.write(session.takeOutput())
        connection.flush()
    }

    private func end(_ error: PeerError) {
        isOver = true
        let unanswered = requests
        requests = []
        for request in unanswered { request.fail(error) }
    }

    private func run(_ connection: Connection) {
        while !isOver, !isWaiting {
            let consumed = connection.unread.withUnsafeReadableBytes { unread in
                let step = session.receive(unread)
                carryOut(step.event, unread, connection)
                return step.consumed
            }
            connection.consume(consumed)
            if consumed == 0 {
                if connection.inputEnded, !isWaiting {
                    fail(.unreachable("the node closed the connection"), connection)
                }
                break
            }
            connection.madeProgress()
        }
        connection.wantsBytes = !isWaiting && !isOver
    }

    private func carryOut(
        _ event: POP3ClientSession.Event, _ unread: UnsafeRawBufferPointer, _ connection: Connection
    ) {
        switch event {
        case .needBytes:
            break
        case .greeting(let reply):
            if !reply.isOK { fail(PeerError(reply), connection) }
        case .reply(let command, let reply):
            guard reply.isOK else { return finish(.failure(PeerError(reply))) }
            if !command.isMultiLine { finish(.success([])) }
        case .line(let range):
            lines.append(Array(UnsafeRawBufferPointer(rebasing: unread[range])))
        case .body(let range):
            guard case .message(_, let sink, _) = requests.first else { return }
            sink(UnsafeRawBufferPointer(rebasing: unread[range])) { [self] wait in
                isWaiting = true
                wait { [self] in
                    isWaiting = false
                    if connection.isOpen { run(connection) }
                }
            }
        case .end:
            finish(.success(lines))
        case .violation(let why):
            fail(.unreachable("the node broke the protocol: \(why)"), connection)
        }
    }

    private func finish(_ result: Result<[[UInt8]], PeerError>) {
        lines = []
        guard !requests.isEmpty else { return }
        switch requests.removeFirst() {
        case .command(_, let then): then(result)
        case .message(_, _, let then): then(result.map { _ in })
        }
    }

    private func fail(_ error: PeerError, _ connection: Connection) {
        end(error)
        connection.abort()
    }

    // MARK: Conversation

    package func opened(_ connection: Connection) {
        guard !isOver else { return connection.abort() }
        self.connection = connection
        connection.setTimes(ConnectionTimes(idle: timeout, total: .zero))
        writeOutput()
    }

    package func received(_ connection: Connection) { run(connection) }
    package func draining(_ connection: Connection) {}

    package func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        // While this side does not take what came, the node is not to blame.
        guard !isWaiting, !requests.isEmpty else { return requests.isEmpty ? quit() : connection.madeProgress() }
        fail(.unreachable("the node does not answer"), connection)
    }

    package func closed(_ reason: ConnectionEnd) { end(.unreachable("\(reason)")) }
}
