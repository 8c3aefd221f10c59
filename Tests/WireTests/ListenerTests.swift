import Mail
import NIOCore
import NIOPosix
import Testing

@testable import Wire

@Suite("Listeners, on real sockets", .timeLimit(.minutes(5)))
struct ListenerTests {
    let group = MultiThreadedEventLoopGroup.singleton

    private func listen(with makeConversation: @escaping Listener.MakeConversation) async throws -> (Listener, Int) {
        let settings = ListenerOptions(
            endpoint: .tcp(host: "127.0.0.1", port: 0), limits: ConnectionLimits(connectionsMax: 0, perAddressMax: 0))
        let listener = try await Listener.bind(
            settings, group: group, refusal: { _ in "" }, makeConversation: makeConversation)
        guard case .tcp(_, let port) = listener.endpoint else { throw EndpointError(description: "no port") }
        return (listener, port)
    }

    func listen(
        limits: ConnectionLimits = ConnectionLimits(connectionsMax: 0, perAddressMax: 0),
        balancers: Bool = false, handshake: Duration = .seconds(60), times: ConnectionTimes? = nil,
        isClient: @escaping @Sendable (String) -> Bool = { _ in true },
        census: ConnectionCensus? = nil, record: EchoConversation.Record
    ) async throws -> (Listener, Int) {
        let settings = ListenerOptions(
            endpoint: .tcp(host: "127.0.0.1", port: 0), limits: limits,
            handshakeTimes: ConnectionTimes(idle: handshake, total: handshake), isBalancer: { _ in balancers },
            isClient: isClient)
        let listener = try await Listener.bind(
            settings, group: group, census: census, refusal: { "no: \($0)\r\n" }
        ) { connection in
            if let times { connection.setTimes(times) }
            return EchoConversation(record: record)
        }
        guard case .tcp(_, let port) = listener.endpoint else { throw EndpointError(description: "no port") }
        return (listener, port)
    }

    @Test("a conversation hears of the connection, its bytes and its end")
    func echo() async throws {
        let record = EchoConversation.Record()
        let (listener, port) = try await listen(record: record)
        let client = try SocketClient(port: port)
        #expect(try await client.read(until: "\n") == "hello\r\n")
        try await client.send("one\r\ntwo\r\n")
        #expect(try await client.read(until: "two\r\n") == "one\r\ntwo\r\n")
        try await client.send("QUIT\r\n")
        #expect(try await client.read() == "")
        try await record.waits(for: "closed")
        await listener.drain()
    }

    @Test("a client that has closed its half still gets its answers")
    func halfClose() async throws {
        let record = EchoConversation.Record()
        let (listener, port) = try await listen(record: record)
        let client = try SocketClient(port: port)
        try await client.send("one\r\n")
        client.endInput()
        #expect(try await client.read() == "hello\r\none\r\n")
        try await record.waits(for: "closed")
        await listener.drain()
    }

    @Test("what comes while nothing is wanted is told when it is, and is no more than one read brings")
    func backPressure() async throws {
        let record = EchoConversation.Record()
        let (listener, port) = try await listen { _ in DeafConversation(record: record) }
        let client = try SocketClient(port: port)
        let sending = Task { try await client.send(String(repeating: "x", count: 8 << 20)) }
        try await record.waits(for: "8388608 octets")
        #expect(record.all.first == "held back what one read brings: true")
        try await sending.value
        await listener.drain()
    }

    @Test("what has been read is let go, also where half a line always stays unread")
    func halfLines() async throws {
        let record = EchoConversation.Record()
        let (listener, port) = try await listen { _ in LeavingConversation(record: record) }
        let client = try SocketClient(port: port)
        let piece = "half\n" + String(repeating: "x", count: 8 << 10) + "\nanother "
        for _ in 0..<200 {
            try await client.send(piece)
            #expect(try await client.read(until: "2\n") == "2\n")
        }
        #expect(record.all.compactMap { Int($0) }.max() ?? .max <= 256 << 10)
        await listener.drain()
    }

    @Test("a connection over the address's limit is told so and closed, and its place is free when another has left")
    func addressLimit() async throws {
        let record = EchoConversation.Record()
        let limits = ConnectionLimits(connectionsMax: 0, perAddressMax: 1)
        let (listener, port) = try await listen(limits: limits, record: record)
        let first = try SocketClient(port: port)
        #expect(try await first.read(until: "\n") == "hello\r\n")
        #expect(try await SocketClient(port: port).read() == "no: tooManyFromAddress\r\n")
        try await first.send("QUIT\r\n")
        #expect(try await first.read() == "")
        try await record.waits(for: "closed")
        #expect(try await SocketClient(port: port).read(until: "\n") == "hello\r\n")
        await listener.drain()
    }

    @Test("IPv6 addresses of one /64 count as one client, and so does IPv4 however it is written")
    func networkLimit() async throws {
        let limits = ConnectionLimits(connectionsMax: 0, perAddressMax: 1)
        let (listener, port) = try await listen(limits: limits, balancers: true, record: EchoConversation.Record())
        var clients: [SocketClient] = []
        for (address, isServed) in [
            ("TCP6 2001:db8::1 2001:db8:1::1", true), ("TCP6 2001:db8::ffff:2 2001:db8:1::1", false),
            ("TCP6 2001:db8:0:1::1 2001:db8:1::1", true), ("TCP4 192.0.2.1 192.0.2.9", true),
            ("TCP6 ::ffff:192.0.2.1 2001:db8:1::1", false),
        ] {
            let client = try SocketClient(port: port)
            try await client.send("PROXY \(address) 4711 25\r\n")
            let greeting = try await client.read(until: "\n")
            #expect(greeting == (isServed ? "hello\r\n" : "no: tooManyFromAddress\r\n"), "\(address)")
            clients.append(client)
        }
        await listener.drain()
    }

    @Test(
        "only clients that the listener serves are heard, behind a balancer by their own address",
        arguments: [true, false])
    func clients(isBehindBalancer: Bool) async throws {
        let limits = ConnectionLimits(connectionsMax: 0, perAddressMax: 0)
        let (listener, port) = try await listen(
            limits: limits, balancers: isBehindBalancer,
            isClient: { $0 == (isBehindBalancer ? "192.0.2.1" : "127.0.0.2") },
            record: EchoConversation.Record())
        let client = try SocketClient(port: port)
        if isBehindBalancer { try await client.send("PROXY TCP4 192.0.2.2 192.0.2.9 4711 25\r\n") }
        #expect(try await client.read() == "no: noClient\r\n")
        if isBehindBalancer {
            let served = try SocketClient(port: port)
            try await served.send("PROXY TCP4 192.0.2.1 192.0.2.9 4711 25\r\n")
            #expect(try await served.read(until: "\n") == "hello\r\n")
        }
        listener.update(limits: limits, implicitTLS: nil, isClient: { _ in true })
        let later = try SocketClient(port: port)
        if isBehindBalancer { try await later.send("PROXY TCP4 192.0.2.2 192.0.2.9 4711 25\r\n") }
        #expect(try await later.read(until: "\n") == "hello\r\n")
        await listener.drain()
    }

    @Test("listeners that share a census share its limits, and each drains its own connections only")
    func sharedCensus() async throws {
        let census = ConnectionCensus(limits: ConnectionLimits(connectionsMax: 1, perAddressMax: 0))
        let record = EchoConversation.Record()
        let (one, onePort) = try await listen(census: census, record: record)
        let (other, otherPort) = try await listen(census: census, record: record)
        let first = try SocketClient(port: onePort)
        #expect(try await first.read(until: "\n") == "hello\r\n")
        #expect(try await SocketClient(port: otherPort).read() == "no: tooManyConnections\r\n")
        await other.drain()
        try await first.send("still here\r\n")
        #expect(try await first.read(until: "\n") == "still here\r\n")
        await one.drain()
        #expect(try await first.read() == "")
    }

    @Test("a client that is still sending when the conversation ends gets the last words")
    func lingering() async throws {
        let record = EchoConversation.Record()
        let (listener, port) = try await listen(record: record)
        let client = try SocketClient(port: port)
        try await client.send("LINGER\r\n")
        // More than the sockets hold, so that some of it is unread whenever the server closes.
        try await client.send(String(repeating: "x", count: 8 << 20))
        #expect(try await client.read() == "hello\r\nlast words\r\n")
        client.endInput()
        try await record.waits(for: "closed")
        await listener.drain()
    }

    @Test("a client that does not stop sending is not heard out for ever")
    func lingeringIsBounded() async throws {
        let record = EchoConversation.Record()
        let (listener, port) = try await listen(record: record)
        let client = try SocketClient(port: port)
        try await client.send("LINGER\r\n")
        for _ in 0..<40 { try await client.send(String(repeating: "x", count: 1 << 20)) }
        try await record.waits(for: "closed")
        await listener.drain()
    }

    @Test("at the end a connection that owes an answer is waited for, and others are not")
    func owedAnswer() async throws {
        let record = EchoConversation.Record()
        let (listener, port) = try await listen(record: record)
        let waiting = try SocketClient(port: port)
        try await waiting.send("LATER\r\n")
        #expect(try await waiting.read(until: "wait\r\n") == "hello\r\nwait\r\n")
        let idle = try SocketClient(port: port)
        try await idle.send("STAY\r\n")
        #expect(try await idle.read(until: "stay\r\n") == "hello\r\nstay\r\n")
        await Listener.drain([listener], timeout: .milliseconds(100), answerTimeout: .seconds(10))
        #expect(try await waiting.read() == "answer\r\n")
        #expect(try await idle.read() == "")
    }

    @Test("the idle clock ends a connection that makes no progress, byte by byte or not")
    func idle() async throws {
        let record = EchoConversation.Record()
        let times = ConnectionTimes(idle: .milliseconds(200), total: .zero)
        let (listener, port) = try await listen(times: times, record: record)
        let client = try SocketClient(port: port)
        for _ in 0..<4 {
            try await client.send("x")
            try await Task.sleep(for: .milliseconds(30))
        }
        #expect(try await client.read() == "hello\r\nbye\r\n")
        try await record.waits(for: "timedOut idle")
        await listener.drain()
    }

    @Test("the total clock ends a connection however busy it is")
    func total() async throws {
        let record = EchoConversation.Record()
        let times = ConnectionTimes(idle: .seconds(60), total: .milliseconds(200))
        let (listener, port) = try await listen(times: times, record: record)
        let client = try SocketClient(port: port)
        for _ in 0..<6000 where !record.all.contains("timedOut total") {
            try await client.send("busy\r\n")
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(record.all.contains("timedOut total"))
        #expect(try await client.read().hasPrefix("hello\r\n"))
        await listener.drain()
    }

    @Test("drain stops accepting and asks every conversation to finish")
    func drain() async throws {
        let record = EchoConversation.Record()
        let (listener, port) = try await listen(record: record)
        let client = try SocketClient(port: port)
        #expect(try await client.read(until: "\n") == "hello\r\n")
        await listener.drain()
        #expect(try await client.read() == "")
        try await record.waits(for: "draining")
        #expect(throws: SocketClient.SocketError.self) { try SocketClient(port: port) }
    }

    @Test("PROXY protocol v1: the conversation sees the client's address, and the bytes behind the header")
    func proxyHeader() async throws {
        let record = EchoConversation.Record()
        let (listener, port) = try await listen(balancers: true, record: record)
        let client = try SocketClient(port: port)
        try await client.send("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\nearly\r\n")
        #expect(try await client.read(until: "early\r\n") == "hello\r\nearly\r\n")
        try await record.waits(for: "opened 192.0.2.7 tls=false")
        await listener.drain()
    }

    @Test("a balancer that sends no PROXY header is cut off")
    func noProxyHeader() async throws {
        let (listener, port) = try await listen(balancers: true, record: EchoConversation.Record())
        let client = try SocketClient(port: port)
        try await client.send("EHLO there\r\n")
        #expect(try await client.read() == "")
        await listener.drain()
    }

    @Test("a connection that never finishes its handshake is ended when the handshake's time is over")
    func silentHandshake() async throws {
        let (listener, port) = try await listen(
            balancers: true, handshake: .milliseconds(200), record: EchoConversation.Record())
        let client = try SocketClient(port: port)
        try await client.send("PROXY TCP4")
        #expect(try await client.read() == "")
        await listener.drain()
    }
}

/// Wants nothing for a while, then everything.
private final class DeafConversation: Conversation {
    private let record: EchoConversation.Record
    private var wants = false
    private var count = 0

    init(record: EchoConversation.Record) { self.record = record }

    func opened(_ connection: Connection) {
        connection.wantsBytes = false
        look(connection)
    }

    /// Once something has come, and more has had time to come.
    private func look(_ connection: Connection) {
        let hadSome = connection.unread.readableBytes > 0
        connection.after(.milliseconds(500)) { [self] in
            let held = connection.unread.readableBytes
            guard hadSome else { return look(connection) }
            record.note("held back what one read brings: \(held > 0 && held <= 256 << 10)")
            wants = true
            connection.wantsBytes = true
        }
    }

    func received(_ connection: Connection) {
        if !wants { record.note("told of what nobody wanted") }
        count += connection.unread.readableBytes
        connection.consume(connection.unread.readableBytes)
        record.note("\(count) octets")
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) { connection.close() }
    func closed(_ reason: ConnectionEnd) {}
}

/// Takes whole lines, and answers how many there were; notes how much memory the unread rest holds.
private final class LeavingConversation: Conversation {
    private let record: EchoConversation.Record
    private var lines = 0

    init(record: EchoConversation.Record) { self.record = record }

    func opened(_ connection: Connection) {}

    func received(_ connection: Connection) {
        while let end = connection.unread.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            connection.consume(end + 1 - connection.unread.readerIndex)
            lines += 1
        }
        record.note("\(connection.unread.storageCapacity)")
        guard lines >= 2 else { return }
        connection.write(Array("\(lines)\n".utf8))
        connection.flush()
        lines = 0
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) { connection.close() }
    func closed(_ reason: ConnectionEnd) {}
}
