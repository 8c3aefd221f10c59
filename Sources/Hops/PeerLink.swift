import Logging
package import NIOCore
package import POP3
package import Wire

/// Why a node did not answer what another node asked.
package enum PeerError: Error, Sendable, CustomStringConvertible {
    /// It is down, hangs, or broke the protocol.
    case unreachable(String)
    /// It says that it does not do it, and what may be done about that; without a code, there is nothing of what was asked for.
    case refused(String, code: POP3ResponseCode?)

    init(_ reply: POP3Reply) {
        self = .refused(reply.explanation, code: reply.code)
    }

    package var description: String {
        switch self {
        case .unreachable(let why): why
        case .refused(let why, _): "refused: \(why)"
        }
    }
}

/// The way from one event loop to one node for short questions: one POP3 connection, on which they are pipelined.
///
/// It connects when it is first asked. When the connection fails, so does everything that was asked on it; who asks while
/// the node is suspect is told so at once. Meanwhile the link tries to get through again by itself, so that a node that
/// is back is known to be back before long.
package final class PeerLink {
    package typealias Answer = Result<POP3Reply, PeerError>

    private let target: () -> DialTarget
    private let health: NodeHealth
    private let timeout: Duration
    private let eventLoop: any EventLoop
    private var conversation: PeerConversation?
    private var probe: Scheduled<Void>?
    private var failedProbes = 0
    private var hasQuit = false

    private static let probeDelay = Duration.milliseconds(100)
    private static let probeDelayMax = Duration.seconds(2)
    /// A node that hangs greets as soon as it goes on.
    private static let probeTimeout = Duration.seconds(10)

    /// - Parameters:
    ///   - target: where the node takes POP3.
    ///   - timeout: for each question, counted from the last answer.
    package init(
        target: @escaping () -> DialTarget, health: NodeHealth, timeout: Duration, eventLoop: any EventLoop
    ) {
        self.target = target
        self.health = health
        self.timeout = timeout
        self.eventLoop = eventLoop
    }

    /// Asks a question with an answer of one line.
    package func ask(_ command: POP3ClientCommand, then: @escaping (Answer) -> Void) {
        if let conversation, !conversation.isOver { return conversation.ask(command, then: then) }
        guard !health.isSuspect else { return then(.failure(.unreachable("the node failed a moment ago"))) }
        connect(timeout: timeout).ask(command, then: then)
    }

    /// Nobody will ask anything more.
    package func quit() {
        hasQuit = true
        probe?.cancel()
        conversation?.quit()
    }

    @discardableResult
    private func connect(timeout: Duration) -> PeerConversation {
        let fresh = PeerConversation(
            timeout: timeout, health: health, greeted: { [weak self] in self?.failedProbes = 0 },
            failed: { [weak self] in self?.planProbe() })
        conversation = fresh
        Dialer.connect(target(), on: eventLoop, conversation: fresh)
        return fresh
    }

    private func planProbe() {
        guard probe == nil, !hasQuit else { return }
        let delay = min(Self.probeDelayMax, Self.probeDelay * (1 << min(failedProbes, 8)))
        failedProbes += 1
        probe = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [self] in
            probe = nil
            if conversation?.isOver ?? true { connect(timeout: Self.probeTimeout) }
        }
    }
}

/// One connection of a `PeerLink`.
private final class PeerConversation: Conversation {
    private let timeout: Duration
    private let health: NodeHealth
    private let greeted: () -> Void
    private let failed: () -> Void
    private var session = POP3ClientSession()
    private var connection: Connection?
    private var waiting: [(PeerLink.Answer) -> Void] = []
    private var isGreeted = false
    /// It takes no more questions.
    private(set) var isOver = false
    private var hasEnded = false

    init(timeout: Duration, health: NodeHealth, greeted: @escaping () -> Void, failed: @escaping () -> Void) {
        self.timeout = timeout
        self.health = health
        self.greeted = greeted
        self.failed = failed
    }

    func ask(_ command: POP3ClientCommand, then: @escaping (PeerLink.Answer) -> Void) {
        if waiting.isEmpty { setClock() }
        waiting.append(then)
        session.send(command)
        writeOutput()
    }

    /// Says goodbye behind what is asked, and closes when that was answered.
    func quit() {
        guard !isOver else { return }
        isOver = true
        if waiting.isEmpty { setClock() }
        session.send(.quit)
        writeOutput()
    }

    private func writeOutput() {
        guard let connection else { return }
        connection.write(session.takeOutput())
        connection.flush()
    }

    /// Time runs only while something is asked, or the goodbye is to be answered.
    private func setClock() {
        connection?.setTimes(ConnectionTimes(idle: timeout, total: .zero))
    }

    private func stopClock() {
        if waiting.isEmpty, !isOver { connection?.setTimes(ConnectionTimes(idle: .zero, total: .zero)) }
    }

    func opened(_ connection: Connection) {
        self.connection = connection
        setClock()
        writeOutput()
    }

    func received(_ connection: Connection) {
        while !hasEnded {
            let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
            connection.consume(step.consumed)
            switch step.event {
            case .needBytes:
                if connection.inputEnded { fail("the node closed the connection", connection) }
                return
            case .greeting(let reply):
                guard reply.isOK else { return fail(reply.explanation, connection) }
                isGreeted = true
                health.heard()
                greeted()
                stopClock()
            case .reply(.quit, _):
                return connection.abort()
            case .reply(_, let reply):
                connection.madeProgress()
                answer(reply.isOK ? .success(reply) : .failure(PeerError(reply)))
            case .violation(let why):
                return fail("the node broke the protocol: \(why)", connection)
            case .line, .body, .end:
                return fail("the node answered what was not asked", connection)
            }
        }
    }

    private func answer(_ answer: PeerLink.Answer) {
        guard !waiting.isEmpty else { return }
        let first = waiting.removeFirst()
        stopClock()
        first(answer)
    }

    private func fail(_ why: String, _ connection: Connection) {
        end(why)
        connection.abort()
    }

    private func end(_ why: String) {
        guard !hasEnded else { return }
        hasEnded = true
        let wasWanted = !isOver
        isOver = true
        if wasWanted, !waiting.isEmpty || !isGreeted {
            health.suspect()
            failed()
        }
        let unanswered = waiting
        waiting = []
        for answer in unanswered { answer(.failure(.unreachable(why))) }
    }

    func draining(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        fail("the node does not answer", connection)
    }
    func closed(_ reason: ConnectionEnd) { end("\(reason)") }
}
