import Mail
import POP3
import Testing

/// A driver for tests: a client session and what it told.
struct POP3TestClient {
    var session = POP3ClientSession()
    /// All events but `.needBytes`, `.line` and `.body`, in order.
    private(set) var events: [POP3ClientSession.Event] = []
    private(set) var lines: [String] = []
    private(set) var text: [UInt8] = []
    private(set) var unread: [UInt8] = []
    private var isBroken = false

    init(_ commands: [POP3ClientCommand]) {
        for command in commands { session.send(command) }
    }

    mutating func feed(_ bytes: [UInt8], piece: Int) {
        for start in stride(from: 0, to: bytes.count, by: piece) {
            unread += bytes[start..<min(bytes.count, start + piece)]
            run()
        }
    }

    private mutating func run() {
        while true {
            let step = unread.withUnsafeBytes { session.receive($0) }
            switch step.event {
            case .needBytes: return
            case .line(let range): lines.append(String(decoding: unread[range], as: UTF8.self))
            case .body(let range): text += unread[range]
            case .violation:
                if !isBroken { events.append(step.event) }
                isBroken = true
                return
            case .greeting, .reply, .end: events.append(step.event)
            }
            unread.removeFirst(step.consumed)
        }
    }
}

@Suite struct POP3ClientSessionTests {
    @Test("RFC 2449 §6.6: replies meet the pipelined commands in their order", arguments: [1, 2, 3, 7, 1000])
    func pipelined(piece: Int) throws {
        var client = POP3TestClient([.user("a"), .pass("b c"), .stat, .list, .retr(1), .dele(1), .quit])
        #expect(
            String(decoding: client.session.takeOutput(), as: UTF8.self)
                == "USER a\r\nPASS b c\r\nSTAT\r\nLIST\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
        let replies = """
            +OK ready <1.2@x>\r\n+OK\r\n+OK opened\r\n+OK 2 320\r\n+OK 2 messages\r\n1 120\r\n2 200\r\n.\r
            +OK 120 octets\r\nSubject: x\r\n\r\n..dot\r\n...\r\n.\r\n-ERR [SYS/TEMP] no\r\n+OK bye\r\n
            """
        client.feed(Array(replies.utf8), piece: piece)
        #expect(client.lines == ["1 120", "2 200"])
        #expect(client.text == Array("Subject: x\r\n\r\n.dot\r\n..\r\n".utf8))
        #expect(client.session.isIdle && client.unread.isEmpty)
        let told = client.events.map { event in
            switch event {
            case .greeting(let reply): "greeting \(reply.timestamp ?? "")"
            case .reply(let command, let reply): "\(command) \(reply.isOK) \(reply.numbers)"
            case .end(let command, let octets): "\(command) ends, \(octets)"
            default: "\(event)"
            }
        }
        #expect(
            told == [
                "greeting <1.2@x>", "user(\"a\") true []", "pass(\"b c\") true []", "stat true [2, 320]",
                "list true [2]", "list ends, 14", "retr(1) true [120]", "retr(1) ends, 24",
                "dele(1) false []", "quit true []",
            ])
        guard case .reply(_, let refusal) = client.events[8] else { return #expect(Bool(false)) }
        #expect(refusal.code == .systemTemporary)
    }

    @Test("RFC 2449 §8: a response code is told apart from the text behind it, known or not")
    func responseCodes() {
        var client = POP3TestClient([.noop, .noop, .noop])
        client.feed(
            Array("+OK\r\n-ERR [in-use] try later\r\n-ERR [X-NEW/A] new\r\n-ERR [odd\r\n".utf8), piece: 9)
        let replies = client.events.compactMap { event in
            if case .reply(_, let reply) = event { reply } else { nil }
        }
        #expect(replies.map(\.code) == [.inUse, nil, nil])
        #expect(replies.map(\.explanation) == ["try later", "new", "[odd"])
    }

    @Test("a refused RETR has no lines behind it")
    func refusedMessage() {
        var client = POP3TestClient([.retr(1), .noop])
        client.feed(Array("+OK\r\n-ERR no such message\r\n+OK\r\n".utf8), piece: 100)
        #expect(client.events.count == 3 && client.session.isIdle)
    }

    @Test("RFC 1939 §3: a stuffed dot in a listing is taken out")
    func stuffedListing() {
        var client = POP3TestClient([.capa])
        client.feed(Array("+OK\r\n+OK\r\nTOP\r\n..X\r\n.\r\n".utf8), piece: 2)
        #expect(client.lines == ["TOP", ".X"])
        #expect(client.events.last == .end(.capa, octets: 9))
        #expect(!POP3ClientSession().isIdle)
    }

    @Test("what follows XOPEN's reply stays unread, for the client it belongs to")
    func leftover() throws {
        var session = POP3ClientSession()
        session.send(.xopen(try #require(MailboxName("alice@example.test")), utf8: true, language: "en"))
        #expect(session.takeOutput() == Array("XOPEN alice@example.test UTF8 LANG=en\r\n".utf8))
        var unread = Array("+OK ready\r\n+OK 1 messages\r\n+OK 1 5\r\n".utf8)
        for _ in 0..<2 { unread.removeFirst(unread.withUnsafeBytes { session.receive($0) }.consumed) }
        #expect(session.isIdle && unread == Array("+OK 1 5\r\n".utf8))
    }

    @Test(
        "a server that breaks the protocol is told apart, and nothing more is read from it",
        arguments: [
            ("220 ESMTP\r\n", "a reply that is neither +OK nor -ERR"),
            ("+OKAY\r\n", "a reply that is neither +OK nor -ERR"),
            ("+OK\n", "a line that ends with a bare LF"), (String(repeating: "+", count: 2000), "a line too long"),
            ("+OK\n" + String(repeating: "x", count: 2000), "a line that ends with a bare LF"),
            ("+OK\r\n+OK\r\n+OK\r\n", "a reply that nothing was asked for"),
        ])
    func violations(reply: String, violation: String) {
        for piece in [1, 5, 5000] {
            var client = POP3TestClient([.noop])
            client.feed(Array(reply.utf8), piece: piece)
            #expect(client.events.last == .violation(violation))
            let step = Array("+OK\r\n".utf8).withUnsafeBytes { client.session.receive($0) }
            #expect(step.event == .violation("the conversation is over"))
        }
    }

    @Test("a long listing line is a violation, a long line of a message is none")
    func longLines() {
        let long = String(repeating: "x", count: 5000)
        var listing = POP3TestClient([.uidl])
        listing.feed(Array("+OK\r\n+OK\r\n1 \(long)\r\n".utf8), piece: 100)
        #expect(listing.events.last == .violation("a line too long"))
        var message = POP3TestClient([.retr(1)])
        message.feed(Array("+OK\r\n+OK\r\n\(long)\r\n.\r\n".utf8), piece: 100)
        #expect(message.events.last == .end(.retr(1), octets: 5002))
    }

    @Test("a thousand commands may be under way")
    func manyCommands() {
        var client = POP3TestClient((0..<1000).map { .dele($0) })
        client.feed(Array(("+OK\r\n" + String(repeating: "+OK\r\n", count: 1000)).utf8), piece: 333)
        #expect(client.events.count == 1001 && client.session.isIdle)
        guard case .reply(.dele(999), _) = client.events[1000] else { return #expect(Bool(false)) }
    }
}
