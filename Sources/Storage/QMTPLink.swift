import Hops
import Logging
import Mail
import Membership
import NIOCore
import QMTP
import Wire

/// The way to a server by QMTP: a few connections, on each of which messages follow one another without waiting.
final class QMTPLink: RelayCarrier {
    private let eventLoop: any EventLoop
    private let pool: NIOLoopBound<QMTPPool>
    private let health = NodeHealth()
    let server: String

    static func make(
        _ settings: RelaySettings, on eventLoop: any EventLoop, log: Logger
    ) async throws -> QMTPLink {
        try await eventLoop.submit { QMTPLink(settings, on: eventLoop, log: log) }.get()
    }

    private init(_ settings: RelaySettings, on eventLoop: any EventLoop, log: Logger) {
        self.eventLoop = eventLoop
        server = settings.addresses.first?.host ?? settings.name
        pool = NIOLoopBound(QMTPPool(settings, health: health, on: eventLoop, log: log), eventLoop: eventLoop)
    }

    var isReachable: Bool { health.lastFailure == nil }
    var lastFailure: String? { health.lastFailure }

    func abandon() { eventLoop.execute { [pool] in pool.value.abandon() } }

    func carry(_ message: RelayMessage) async -> RelayOutcome {
        await withCheckedContinuation { carried in
            eventLoop.execute { [pool] in pool.value.carry(message) { carried.resume(returning: $0) } }
        }
    }
}

/// The connections of one link.
private final class QMTPPool {
    private let addresses: ServerAddresses
    private let settings: RelaySettings
    private let health: NodeHealth
    private let eventLoop: any EventLoop
    private let log: Logger
    private var connections: [QMTPConnection] = []
    private var isAbandoned = false

    /// Messages under way on every connection before another connection is worth its cost.
    private static let crowded = 8

    init(_ settings: RelaySettings, health: NodeHealth, on eventLoop: any EventLoop, log: Logger) {
        self.settings = settings
        self.health = health
        self.eventLoop = eventLoop
        self.log = log
        addresses = ServerAddresses(settings.addresses, tls: nil, certificateName: nil)
    }

    func carry(_ message: RelayMessage, then: @escaping (RelayOutcome) -> Void) {
        guard !isAbandoned else { return then(.lost(sends: 0)) }
        connections.removeAll(where: \.isOver)
        // Behind a large text one waits long.
        let free = connections.min { ($0.isSendingLarge ? 1 : 0, $0.load) < ($1.isSendingLarge ? 1 : 0, $1.load) }
        if let free, (free.load < Self.crowded && !free.isSendingLarge) || connections.count >= settings.connectionsMax
        {
            return free.send(message, then)
        }
        let fresh = QMTPConnection(timeout: settings.timeout, health: health)
        connections.append(fresh)
        fresh.send(message, then)
        Dialer.connect(addresses.next(), on: eventLoop, conversation: fresh)
    }

    func abandon() {
        isAbandoned = true
        for connection in connections { connection.fail("the process is about to end") }
    }
}

/// One connection: messages go out as they come, and replies come in their order.
private final class QMTPConnection: Conversation {
    private let timeout: Duration
    private let health: NodeHealth
    private var session = QMTPClientSession()
    private var connection: Connection?
    private var held: [(RelayMessage, (RelayOutcome) -> Void)] = []
    private var sent: [(RelayOutcome) -> Void] = []
    /// The text of the last of those, while it is being written.
    private var sending: TextSending?
    private(set) var isOver = false

    private static let idleTimeout = Duration.seconds(10)

    init(timeout: Duration, health: NodeHealth) {
        self.timeout = timeout
        self.health = health
    }

    var load: Int { held.count + sent.count }
    var isSendingLarge: Bool { sending != nil }

    func send(_ message: RelayMessage, _ then: @escaping (RelayOutcome) -> Void) {
        guard !isOver else { return then(.lost(sends: 0)) }
        held.append((message, then))
        if let connection { write(connection) }
    }

    private func write(_ connection: Connection) {
        if !held.isEmpty, sent.isEmpty { setClock(connection) }
        while sending == nil, !held.isEmpty {
            let (message, then) = held.removeFirst()
            let frame = session.begin(
                sender: Self.bytes(message.sender), recipients: [Self.bytes(message.recipient)],
                byteCount: message.text.byteCount, lineEnds: .crlf)
            connection.write(ByteBuffer(bytes: frame.head))
            sent.append(then)
            switch message.text {
            case .whole(let text):
                connection.write(text)
                connection.write(ByteBuffer(bytes: frame.tail))
            case .large(let text):
                send(text, then: frame.tail, connection)
            }
        }
        connection.flush()
    }

    private func send(_ text: LargeText, then tail: [UInt8], _ connection: Connection) {
        let sending = TextSending(text, dotStuffed: false, on: connection) { [self] isWhole in
            self.sending = nil
            // Its octets were announced and are not there: what followed would be taken for them.
            guard isWhole else { return fail("a text cannot be read") }
            connection.write(ByteBuffer(bytes: tail))
            write(connection)
        }
        self.sending = sending
        sending.goOn()
    }

    /// As QMTP has addresses: without the quotes of SMTP.
    private static func bytes(_ address: EmailAddress) -> [UInt8] { Array("\(address.local)@\(address.domain)".utf8) }

    private static func bytes(_ sender: ReversePath) -> [UInt8] {
        if case .address(let address) = sender { bytes(address) } else { [] }
    }

    private func setClock(_ connection: Connection) {
        connection.madeProgress()
        connection.setTimes(ConnectionTimes(idle: load == 0 ? Self.idleTimeout : timeout, total: .zero))
    }

    func fail(_ why: String) {
        end(why)
        connection?.abort()
    }

    /// - Parameter why: nil if there is nothing wrong with the server.
    private func end(_ why: String?) {
        guard !isOver else { return }
        isOver = true
        sending?.stop()
        sending = nil
        if let why { health.failed(why) }
        let (unsent, unanswered) = (held, sent)
        (held, sent) = ([], [])
        for (_, then) in unsent { then(.lost(sends: 0)) }
        for then in unanswered { then(.lost(sends: 1)) }
    }

    // MARK: Conversation

    func opened(_ connection: Connection) {
        guard !isOver else { return connection.abort() }
        self.connection = connection
        health.heard()
        write(connection)
    }

    func received(_ connection: Connection) {
        while !isOver {
            let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
            connection.consume(step.consumed)
            switch step.event {
            case .needBytes:
                if connection.inputEnded { fail("the server closed the connection") }
                return
            case .violation(let violation):
                return fail("\(violation)")
            case .replies(let replies):
                health.heard()
                guard !sent.isEmpty else { return fail("a reply that nothing was asked for") }
                sent.removeFirst()(.answered(replies.first?.verdict ?? .deferred(.unexpected), sends: 1))
                setClock(connection)
            }
        }
    }

    func writable(_ connection: Connection) { sending?.goOn() }
    func draining(_ connection: Connection) {}

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        if load > 0 { return fail("the server does not answer") }
        end(nil)
        connection.close()
    }

    func closed(_ reason: ConnectionEnd) {
        switch reason {
        case .closed: end(load > 0 ? "the server closed the connection" : nil)
        case .failed(let why): end(why)
        }
    }
}
