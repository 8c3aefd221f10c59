import Mail
import NIOCore
import NIOPosix
import Testing

@testable import Wire

/// Opens a way to `target` for each client, and joins the two.
private final class Bridge: Conversation {
    let target: DialTarget
    var client: Connection?

    init(_ target: DialTarget) { self.target = target }

    func opened(_ connection: Connection) {
        guard let client else {
            client = connection
            connection.wantsBytes = false
            return Dialer.connect(target, on: connection.eventLoop, conversation: self)
        }
        Relay.join(
            client: client, server: connection, times: ConnectionTimes(idle: .seconds(60), total: .zero), ended: {})
    }
    func received(_ connection: Connection) {}
    func writable(_ connection: Connection) {}
    func tlsStarted(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { client?.abort() }
}

@Suite("The relay, on real sockets", .timeLimit(.minutes(5)))
struct RelayTests {
    let group = MultiThreadedEventLoopGroup.singleton
    let limits = ConnectionLimits(connectionsMax: 0, perAddressMax: 0)

    func bridge(to endpoint: Endpoint) async throws -> (Listener, Int) {
        let settings = ListenerOptions(endpoint: .tcp(host: "127.0.0.1", port: 0), limits: limits)
        let target = DialTarget(endpoint: endpoint, timeout: .seconds(60))
        let listener = try await Listener.bind(settings, group: group, refusal: { _ in "" }) { _ in Bridge(target) }
        guard case .tcp(_, let port) = listener.endpoint else { throw EndpointError(description: "no port") }
        return (listener, port)
    }

    @Test("megabytes go through in both directions and come out whole, though the client reads late")
    func megabytes() async throws {
        let settings = ListenerOptions(endpoint: .tcp(host: "127.0.0.1", port: 0), limits: limits)
        let echo = try await Listener.bind(settings, group: group, refusal: { _ in "" }) { _ in EchoConversation() }
        let (listener, port) = try await bridge(to: echo.endpoint)
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

    @Test("a target that is not there closes the client's side")
    func nobodyThere() async throws {
        let (listener, port) = try await bridge(to: .tcp(host: "127.0.0.1", port: 1))
        #expect(try await SocketClient(port: port).read() == "")
        await listener.drain()
    }
}
