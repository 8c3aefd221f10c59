import Foundation
import Mail
import NIOCore
import NIOPosix
import Testing

@testable import Wire

/// How a relay reaches the server behind it.
enum Way: CaseIterable {
    /// By a connection of its own.
    case socket
    /// By a stream of a shared connection.
    case stream

    /// The server's side of it.
    func host(_ makeServer: @escaping () -> any Conversation) -> any Conversation {
        self == .socket ? makeServer() : StreamsHost { _ in makeServer() }
    }
}

/// Opens a way to `target` for each client, and joins the two.
private final class Bridge: Conversation {
    let target: DialTarget
    let way: Way
    let times: ConnectionTimes
    var client: Connection?

    init(_ target: DialTarget, by way: Way, times: ConnectionTimes) {
        self.target = target
        self.way = way
        self.times = times
    }

    func opened(_ connection: Connection) {
        guard let client else {
            client = connection
            connection.wantsBytes = false
            return connect(connection.eventLoop)
        }
        Relay.join(client: client, server: connection, times: times, ended: {})
    }

    private func connect(_ eventLoop: any EventLoop) {
        guard way == .stream else { return Dialer.connect(target, on: eventLoop, conversation: self) }
        let shared = SharedConnection(eventLoop: eventLoop, idleTimeout: .seconds(10))
        Dialer.connect(target, on: eventLoop, conversation: StreamsBeginning(shared))
        shared.open(self)
        shared.retire()
    }

    func received(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { client?.abort() }
}

/// The server behind a relay: does something with each line, and keeps a record of them.
private final class Server: Conversation {
    typealias Act = @Sendable (_ line: String, _ connection: Connection) -> Void
    let record: EchoConversation.Record
    let act: Act

    init(record: EchoConversation.Record, act: @escaping Act) {
        self.record = record
        self.act = act
    }

    func opened(_ connection: Connection) {}
    func received(_ connection: Connection) {
        while let line = connection.unread.readLine() {
            record.note(line)
            act(line, connection)
        }
        connection.consume(0)
        connection.flush()
        if connection.inputEnded, record.all.last != "QUIT" { connection.close() }
    }
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) { connection.close() }
    func closed(_ reason: ConnectionEnd) { record.note("closed") }
}

/// A client under TLS: says something, ends its half, and records the lines of the answer.
private final class TLSClient: Conversation {
    let text: String
    let record: EchoConversation.Record

    init(says text: String, record: EchoConversation.Record) {
        self.text = text
        self.record = record
    }

    func opened(_ connection: Connection) {
        connection.write(Array(text.utf8))
        connection.flush()
        connection.closeOutput()
    }
    func received(_ connection: Connection) {
        while let line = connection.unread.readLine() { record.note(line) }
        if connection.inputEnded { connection.close() }
    }
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) { connection.abort() }
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { record.note("closed") }
}

@Suite("The relay, on real sockets", .timeLimit(.minutes(5)))
struct RelayTests {
    /// Of its own: what other tests do on their loops takes its time.
    private static let loops = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    let group = loops
    let limits = ConnectionLimits(connectionsMax: 0, perAddressMax: 0)

    func bridge(
        to endpoint: Endpoint, by way: Way = .socket, idle: Duration = .seconds(60), tls: ServerTLS? = nil
    ) async throws -> (Listener, Int) {
        let settings = ListenerOptions(
            endpoint: .tcp(host: "127.0.0.1", port: 0), implicitTLS: tls, limits: limits)
        let target = DialTarget(endpoint: endpoint, timeout: .seconds(60))
        let times = ConnectionTimes(idle: idle, total: .zero)
        let listener = try await Listener.bind(settings, group: group, refusal: { _ in "" }) { _ in
            Bridge(target, by: way, times: times)
        }
        guard case .tcp(_, let port) = listener.endpoint else { throw EndpointError(description: "no port") }
        return (listener, port)
    }

    /// A server, the record of what it is told, and a relay before it.
    private func site(
        by way: Way = .socket, idle: Duration = .seconds(10), tls: ServerTLS? = nil,
        act: @escaping Server.Act = { _, _ in }
    ) async throws -> (record: EchoConversation.Record, port: Int, listeners: [Listener]) {
        let record = EchoConversation.Record()
        let settings = ListenerOptions(endpoint: .tcp(host: "127.0.0.1", port: 0), limits: limits)
        let server = try await Listener.bind(settings, group: group, refusal: { _ in "" }) { _ in
            way.host { Server(record: record, act: act) }
        }
        let (relay, port) = try await bridge(to: server.endpoint, by: way, idle: idle, tls: tls)
        return (record, port, [relay, server])
    }

    @Test(
        "a server that dies within an answer ends the client's connection behind what had come", arguments: Way.allCases
    )
    func serverDies(by way: Way) async throws {
        let site = try await site(by: way) { _, connection in
            connection.write(Array("+OK\r\nhalf a mess".utf8))
            connection.flush()
            connection.after(.milliseconds(50)) { connection.abort() }
        }
        let client = try SocketClient(port: site.port)
        try await client.send("RETR 1\r\n")
        #expect(try await client.read() == "+OK\r\nhalf a mess")
        try await site.record.waits(for: "closed")
        for listener in site.listeners { await listener.drain() }
    }

    @Test("a client that leaves within an answer ends the server's connection", arguments: Way.allCases)
    func clientLeaves(by way: Way) async throws {
        let site = try await site(by: way) { _, connection in
            connection.write([UInt8](repeating: 0x78, count: 8 << 20))
            connection.flush()
        }
        var client: SocketClient? = try SocketClient(port: site.port)
        try await client?.send("RETR 1\r\n")
        _ = try await client?.read(until: "x")
        client = nil
        try await site.record.waits(for: "closed")
        for listener in site.listeners { await listener.drain() }
    }

    @Test("what a server said before it closed comes whole to a client that reads late")
    func serverCloses() async throws {
        let site = try await site { _, connection in
            connection.write([UInt8](repeating: 0x78, count: 4 << 20))
            connection.close()
        }
        let client = try SocketClient(port: site.port)
        try await client.send("QUIT\r\n")
        try await site.record.waits(for: "closed")
        try await Task.sleep(for: .milliseconds(200))
        #expect(try await client.read().utf8.count == 4 << 20)
        for listener in site.listeners { await listener.drain() }
    }

    @Test("a session in which nothing is said ends on both sides", arguments: Way.allCases)
    func idle(by way: Way) async throws {
        let site = try await site(by: way, idle: .milliseconds(200))
        let client = try SocketClient(port: site.port)
        try await client.send("NOOP\r\n")
        #expect(try await client.read() == "")
        try await site.record.waits(for: "closed")
        for listener in site.listeners { await listener.drain() }
    }

    @Test("single bytes of a client are no progress: they come across, and the session ends", arguments: Way.allCases)
    func singleBytes(by way: Way) async throws {
        let site = try await site(by: way, idle: .milliseconds(300))
        let client = try SocketClient(port: site.port)
        for _ in 0..<200 where !site.record.all.contains("closed") {
            try await client.send("x")
            try await Task.sleep(for: .milliseconds(30))
        }
        #expect(site.record.all.contains("closed"))
        #expect(try await client.read() == "")
        for listener in site.listeners { await listener.drain() }
    }

    @Test("a client's lines are progress, and so is what comes to it", arguments: Way.allCases)
    func progress(by way: Way) async throws {
        let site = try await site(by: way, idle: .seconds(6)) { line, connection in
            guard line == "RETR" else { return }
            for number in 1...6 {
                connection.after(.milliseconds(1_500 * number)) {
                    connection.write(Array("\(number)".utf8))
                    connection.flush()
                }
            }
        }
        let answer = try await SocketClient.converse(
            port: site.port, says: (0..<6).map { "NOOP \($0)\r\n" } + ["RETR\r\n"], every: .milliseconds(1_500),
            until: "6")
        #expect(answer == "123456", "\(site.record.all)")
        try await site.record.waits(for: "NOOP 5")
        for listener in site.listeners { await listener.drain() }
    }

    @Test("under TLS too a client that has ended its half gets the rest of its answers", arguments: Way.allCases)
    func halfCloseUnderTLS(by way: Way) async throws {
        let site = try await site(by: way, tls: try Self.selfSigned()) { line, connection in
            connection.after(.milliseconds(100)) {
                connection.write(Array("+OK \(line)\r\n".utf8))
                connection.flush()
                if line == "QUIT" { connection.close() }
            }
        }
        let record = EchoConversation.Record()
        let target = DialTarget(
            endpoint: .tcp(host: "127.0.0.1", port: site.port), tls: try ClientTLS(unverified: ()),
            timeout: .seconds(10))
        let loop = group.next()
        try await loop.submit {
            Dialer.connect(
                target, on: loop, conversation: TLSClient(says: "STAT\r\nQUIT\r\n", record: record))
        }.get()
        try await record.waits(for: "closed")
        #expect(record.all == ["+OK STAT", "+OK QUIT", "closed"])
        for listener in site.listeners { await listener.drain() }
    }

    private static func selfSigned() throws -> ServerTLS {
        let folder = FileManager.default.temporaryDirectory.appending(path: "relay-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (certificate, key) = (folder.appending(path: "cert.pem").path, folder.appending(path: "key.pem").path)
        let openssl = Process()
        openssl.executableURL = URL(filePath: "/usr/bin/env")
        openssl.arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate,
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        return try ServerTLS(certificate: certificate, key: key)
    }

    @Test(
        "megabytes go through in both directions and come out whole, though the client reads late",
        arguments: Way.allCases)
    func megabytes(by way: Way) async throws {
        let settings = ListenerOptions(endpoint: .tcp(host: "127.0.0.1", port: 0), limits: limits)
        let echo = try await Listener.bind(settings, group: group, refusal: { _ in "" }) { _ in
            way.host { EchoConversation() }
        }
        let (listener, port) = try await bridge(to: echo.endpoint, by: way)
        let client = try SocketClient(port: port)
        #expect(try await client.read(until: "\n") == "hello\r\n")
        let lines = (0..<20_000).map { "line \($0) \(String(repeating: "x", count: 80))\r\n" }.joined()
        let writer = Task {
            try await client.send(lines)
            client.endInput()
        }
        try await Task.sleep(for: .milliseconds(100))
        let back = try await client.read()
        try await writer.value
        #expect(back.utf8.count == lines.utf8.count)
        #expect(back.hashValue == lines.hashValue)
        await listener.drain()
        await echo.drain()
    }

    @Test("a target that is not there closes the client's side", arguments: Way.allCases)
    func nobodyThere(by way: Way) async throws {
        let (listener, port) = try await bridge(to: .tcp(host: "127.0.0.1", port: 1), by: way)
        #expect(try await SocketClient(port: port).read() == "")
        await listener.drain()
    }
}
