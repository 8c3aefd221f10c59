package import Mail
package import NIOCore
import NIOPosix
import Synchronization

/// Why a connection is turned away before its conversation begins.
package enum ConnectionRefusal: Sendable {
    case tooManyConnections
    case tooManyFromAddress
    /// Its address is none that the listener serves.
    case noClient
}

/// What one listening socket does with its connections.
package struct ListenerOptions: Sendable {
    package var endpoint: Endpoint
    /// TLS from the first byte (RFC 8314 §3.3).
    package var implicitTLS: ServerTLS?
    /// Whether a peer at this address is a balancer, which must begin with a PROXY header.
    package var isBalancer: @Sendable (_ address: String) -> Bool
    /// Whether a peer at this address is served; one on a Unix socket always is.
    package var isClient: @Sendable (_ address: String) -> Bool
    package var limits: ConnectionLimits
    /// Before the conversation begins: how long TLS and a PROXY header may take, and then what the conversation says.
    package var handshakeTimes: ConnectionTimes

    package init(
        endpoint: Endpoint, implicitTLS: ServerTLS? = nil, limits: ConnectionLimits,
        handshakeTimes: ConnectionTimes = ConnectionTimes(idle: .seconds(30), total: .seconds(30)),
        isBalancer: @escaping @Sendable (String) -> Bool = { _ in false },
        isClient: @escaping @Sendable (String) -> Bool = { _ in true }
    ) {
        self.endpoint = endpoint
        self.implicitTLS = implicitTLS
        self.limits = limits
        self.handshakeTimes = handshakeTimes
        self.isBalancer = isBalancer
        self.isClient = isClient
    }

    func serves(_ peer: Peer) -> Bool { peer.isLocal || isClient(peer.address) }
}

/// An address that cannot be listened on or connected to, and why.
package struct EndpointError: Error, CustomStringConvertible {
    package let description: String
}

/// One listening socket: accepts, counts, reads PROXY headers, agrees on TLS, and hands over to conversations.
package final class Listener: Sendable {
    package typealias MakeConversation = @Sendable (Connection) -> any Conversation

    /// The address that was bound, with the port that the system chose if 0 was asked for.
    package let endpoint: Endpoint
    private let channel: any Channel
    private let shared: SharedSettings
    private let census: ConnectionCensus
    private let connections: OpenConnections

    private init(
        channel: any Channel, endpoint: Endpoint, shared: SharedSettings, census: ConnectionCensus,
        connections: OpenConnections
    ) {
        self.channel = channel
        self.endpoint = endpoint
        self.shared = shared
        self.census = census
        self.connections = connections
    }

    /// Listens.
    /// - Parameters:
    ///   - census: shared with other listeners whose connections count together; nil to count alone.
    ///   - refusal: the line to say to a peer over the limits; sent as it is, before TLS.
    ///   - makeConversation: called on the connection's event loop.
    /// - Throws: `EndpointError` if the address cannot be bound.
    package static func bind(
        _ settings: ListenerOptions, group: any EventLoopGroup, census: ConnectionCensus? = nil,
        refusal: @escaping @Sendable (ConnectionRefusal) -> String,
        makeConversation: @escaping MakeConversation
    ) async throws(EndpointError) -> Listener {
        let census = census ?? ConnectionCensus(limits: settings.limits)
        let connections = OpenConnections()
        let current = SharedSettings(settings)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try Connection.configure(channel)
                    try accept(
                        channel, settings: current.value, census: census, connections: connections,
                        refusal: refusal, makeConversation: makeConversation)
                }
            }
        do {
            let channel: any Channel
            switch settings.endpoint {
            case .tcp(let host, let port):
                // Accepted connections have it from the listening socket (tcp(7)).
                channel = try await bootstrap.serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .bind(host: host, port: port).get()
            case .unix(let path):
                channel = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            }
            var bound = settings.endpoint
            if case .tcp(let host, _) = bound, let port = channel.localAddress?.port {
                bound = .tcp(host: host, port: port)
            }
            return Listener(
                channel: channel, endpoint: bound, shared: current, census: census, connections: connections)
        } catch {
            throw EndpointError(description: "cannot listen on \(settings.endpoint): \(error)")
        }
    }

    private static func accept(
        _ channel: any Channel, settings: ListenerOptions, census: ConnectionCensus, connections: OpenConnections,
        refusal: @escaping @Sendable (ConnectionRefusal) -> String, makeConversation: @escaping MakeConversation
    ) throws {
        let connection = Connection(channel: channel, peer: Peer(channel.remoteAddress))
        connection.setTimes(settings.handshakeTimes)
        let isBehindBalancer = settings.isBalancer(connection.peer.address)
        // A connection counts from its first moment: handshakes cost more than conversations.
        var refused = census.enter(ObjectIdentifier(channel))
        if refused == nil, !isBehindBalancer {
            refused =
                settings.serves(connection.peer)
                ? census.identify(ObjectIdentifier(channel), address: connection.peer.address) : .noClient
        }
        connections.add(channel)
        channel.closeFuture.whenComplete { _ in
            census.leave(ObjectIdentifier(channel))
            connections.remove(channel)
        }
        let phase: ConnectionHandler.Phase
        if let refused {
            // Before TLS and PROXY headers there is no way to say why.
            let isPlain = settings.implicitTLS == nil && !isBehindBalancer
            phase = .refused(isPlain ? refusal(refused) : "")
        } else if isBehindBalancer {
            phase = .proxyHeader(then: settings.implicitTLS)
        } else if let tls = settings.implicitTLS {
            phase = .handshake
            try connection.addServerTLS(tls)
        } else {
            phase = .open
        }
        let handler = ConnectionHandler(connection: connection, phase: phase) { connection in
            guard isBehindBalancer else { return makeConversation(connection) }
            let reason =
                settings.serves(connection.peer)
                ? census.identify(ObjectIdentifier(channel), address: connection.peer.address) : .noClient
            if let reason {
                connection.write(Array(refusal(reason).utf8))
                return nil
            }
            return makeConversation(connection)
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    /// New limits, certificates, balancers and clients (nil: as they are), from the next connection on.
    package func update(
        limits: ConnectionLimits, implicitTLS: ServerTLS?, isBalancer: (@Sendable (_ address: String) -> Bool)? = nil,
        isClient: (@Sendable (_ address: String) -> Bool)? = nil
    ) {
        shared.update {
            $0.limits = limits
            $0.implicitTLS = implicitTLS
            if let isBalancer { $0.isBalancer = isBalancer }
            if let isClient { $0.isClient = isClient }
        }
        census.setLimits(limits)
    }

    /// Open connections now.
    package var connectionCount: Int { connections.count }

    /// Accepts no more, and tells every conversation to finish.
    package func drain() async {
        try? await channel.close()
        connections.forEach { $0.pipeline.fireUserInboundEventTriggered(DrainEvent()) }
    }

    /// Drains several listeners, waits until their connections are gone, and ends what is left after `timeout`; but
    /// those that owe their peer an answer (`Connection.owesAnswer`) have `answerTimeout` more for it.
    package static func drain(_ listeners: [Listener], timeout: Duration, answerTimeout: Duration = .zero) async {
        for listener in listeners { await listener.drain() }
        await waitUntilEmpty(listeners, timeout)
        if answerTimeout > .zero {
            for listener in listeners {
                listener.connections.forEach { $0.pipeline.fireUserInboundEventTriggered(DrainEndEvent()) }
            }
            await waitUntilEmpty(listeners, answerTimeout)
        }
        for listener in listeners { listener.connections.forEach { $0.close(promise: nil) } }
    }

    private static func waitUntilEmpty(_ listeners: [Listener], _ timeout: Duration) async {
        let end = ContinuousClock.now + timeout
        while listeners.contains(where: { $0.connectionCount > 0 }), ContinuousClock.now < end {
            guard (try? await Task.sleep(for: .milliseconds(50))) != nil else { break }
        }
    }
}

/// A listener's settings, which a reload may change while connections come in.
private final class SharedSettings: Sendable {
    private let settings: Mutex<ListenerOptions>

    init(_ settings: ListenerOptions) { self.settings = Mutex(settings) }

    var value: ListenerOptions { settings.withLock { $0 } }

    func update(_ change: (inout sending ListenerOptions) -> Void) { settings.withLock { change(&$0) } }
}

/// Sent through a pipeline when the process wants to stop.
struct DrainEvent: Sendable {}

/// Sent when the time for that is over: who owes no answer goes.
struct DrainEndEvent: Sendable {}
