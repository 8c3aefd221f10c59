package import Mail
package import NIOCore
import NIOPosix

/// How to reach one server: its address, and TLS with the name that its certificate must bear.
package struct DialTarget: Sendable {
    package let endpoint: Endpoint
    package let tls: ClientTLS?
    package let certificateName: String?
    /// For connecting and TLS together.
    package let timeout: Duration

    package init(endpoint: Endpoint, tls: ClientTLS? = nil, certificateName: String? = nil, timeout: Duration) {
        self.endpoint = endpoint
        self.tls = tls
        self.certificateName = certificateName
        self.timeout = timeout
    }
}

/// Makes connections. The conversation hears `opened` once the transport is up, or `closed` if it never comes up.
package enum Dialer {
    /// Connects on `eventLoop`, which must be the one this is called on.
    package static func connect(_ target: DialTarget, on eventLoop: any EventLoop, conversation: any Conversation) {
        eventLoop.preconditionInEventLoop()
        let bound = NIOLoopBound(conversation, eventLoop: eventLoop)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.writeBufferWaterMark, value: .init(low: 32 << 10, high: 128 << 10))
            .connectTimeout(TimeAmount(target.timeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try setUp(channel, target: target, conversation: bound.value) }
            }
        let connected: EventLoopFuture<any Channel>
        switch target.endpoint {
        case .tcp(let host, let port):
            connected = bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1).connect(host: host, port: port)
        case .unix(let path):
            connected = bootstrap.connect(unixDomainSocketPath: path)
        }
        connected.whenComplete { result in
            switch result {
            case .success(let channel): adopt(channel, conversation: bound.value)
            case .failure(let error):
                bound.value.closed(.failed("cannot connect to \(target.endpoint): \(error)"))
            }
        }
    }

    /// A host name may lead to several attempts at once; only the one that wins speaks to the conversation.
    private static func adopt(_ channel: any Channel, conversation: any Conversation) {
        guard channel.isActive,
            let handler = try? channel.pipeline.syncOperations.handler(type: ConnectionHandler.self)
        else { return conversation.closed(.failed("the connection broke at once")) }
        handler.adopt(conversation)
    }

    private static func setUp(_ channel: any Channel, target: DialTarget, conversation: any Conversation) throws {
        let connection = Connection(channel: channel, peer: Peer(channel.remoteAddress))
        connection.setTimes(ConnectionTimes(idle: target.timeout, total: .zero))
        if let tls = target.tls { try connection.addClientTLS(tls, name: target.certificateName) }
        let handler = ConnectionHandler(connection: connection, phase: target.tls == nil ? .open : .handshake) { _ in
            conversation
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }
}
