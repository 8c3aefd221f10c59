import Mail
import POP3
import SASL
import Testing

/// A driver for tests: a session, the bytes its client sent, and a small world that answers what the session asks.
struct POP3TestServer {
    /// What the world says to a question; a test sets what it needs.
    struct World {
        var answer: AuthenticationAnswer = .rejected
        var entries: [MaildropEntry]? = []
        var gone: Set<Int> = []
        var unreadable: Set<Int> = []
        var deletionFailures = 0
    }

    var session: POP3ServerSession
    var world = World()
    private var exchanges = 0
    /// All actions but `.needBytes` and `.proceed`, in order.
    var actions: [POP3ServerSession.Action] = []
    var unread: [UInt8] = []
    private(set) var isClosed = false
    /// The largest output that was taken at once.
    private(set) var largestOutput = 0
    private var written: [UInt8] = []

    init(_ service: POP3Service, _ change: (inout POP3ServerSettings) -> Void = { _ in }) {
        var settings = POP3ServerSettings(hostname: "mail.example.test", service: service)
        change(&settings)
        session = POP3ServerSession(settings: settings, nonce: "0123456789abcdefghij", seconds: 1000)
        session.opened()
    }

    /// A node with an open maildrop; what was said up to there is dropped.
    static func opened(
        _ entries: [MaildropEntry], _ change: (inout POP3ServerSettings) -> Void = { _ in }
    ) -> POP3TestServer {
        var server = POP3TestServer(.node, change)
        server.world.entries = entries
        _ = server.send("XOPEN alice@example.test\r\n")
        server.actions = []
        return server
    }

    /// Feeds the text, carries out all actions, and gives what the server wrote.
    mutating func send(_ text: String) -> String { send(Array(text.utf8)) }

    mutating func send(_ bytes: [UInt8]) -> String {
        unread += bytes
        run()
        defer { written = [] }
        return String(decoding: written, as: UTF8.self)
    }

    private mutating func run() {
        while !isClosed {
            let step = unread.withUnsafeBytes { session.receive($0) }
            unread.removeFirst(step.consumed)
            if step.action == .needBytes { break }
            if step.action != .proceed { actions.append(step.action) }
            carryOut(step.action)
        }
        take()
    }

    private mutating func take() {
        let output = session.takeOutput()
        largestOutput = max(largestOutput, output.count)
        written += output
    }

    private mutating func carryOut(_ action: POP3ServerSession.Action) {
        switch action {
        case .needBytes, .proceed, .proofChecked: break
        case .flushOutput: take()
        case .authenticate: answer()
        case .openMaildrop(let request): open(request)
        case .startTLS:
            take()
            session.tlsStarted()
        case .sendMessage(let index, let topLines): sendMessage(index, topLines)
        case .deleteAndClose: session.deleted(failures: world.deletionFailures)
        case .beginStreams: session.streamsBegin()
        case .digest, .drain, .relayed, .flush, .status, .listPartition, .repair, .order, .listTombstones,
            .readTombstone:
            session.replicaFailed("not here")
        case .close: isClosed = true
        }
    }

    private mutating func answer() {
        exchanges += 1
        session.authenticationAnswered(world.answer, nonce: "0123456789abcdefghij.\(exchanges)")
    }

    private mutating func open(_ request: POP3OpenRequest) {
        guard let entries = world.entries else { return session.maildropFailed(temporary: true, "not now") }
        // Nil: a frontend, which knows the address.
        if request.address == nil { session.maildropOpened(entries) } else { session.maildropOpened() }
    }

    private mutating func sendMessage(_ index: Int, _ topLines: Int?) {
        if world.gone.contains(index) { return session.messageGone() }
        if world.unreadable.contains(index) { return session.messageFailed() }
        session.messageFound(octets: 5)
        take()
        written += Array("body\(index)\r\n.\r\n".utf8)
        session.messageSent()
    }
}

/// Numbered entries of 100, 200, 300… octets.
func entries(_ count: Int) -> [MaildropEntry] {
    (0..<count).map { MaildropEntry(uidl: "id\($0 + 1)", octets: ($0 + 1) * 100) }
}

func alice() throws -> AuthenticatedUser {
    AuthenticatedUser(
        address: try #require(EmailAddress("alice@example.test")),
        mailbox: try #require(MailboxName("alice@example.test")))
}
