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

/// Makes connections. The conversation hears `opened` once the transport is up, or `closed` if it never comes up; neither
/// before the caller is done.
package enum Dialer {
    /// Connects on `eventLoop`, which must be the one this is called on.
    package static func connect(_ target: DialTarget, on eventLoop: any EventLoop, conversation: any Conversation) {
        eventLoop.preconditionInEventLoop()
        let bound = NIOLoopBound(conversation, eventLoop: eventLoop)
        // The system may know at once what comes of it; who asked is not ready for that yet.
        eventLoop.execute { begin(target, bound) }
    }

    private static func begin(_ target: DialTarget, _ conversation: NIOLoopBound<any Conversation>) {
        let bootstrap = ClientBootstrap(group: conversation.eventLoop)
            .connectTimeout(TimeAmount(target.timeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try setUp(channel, target: target, conversation: conversation.value)
                }
            }
        connect(bootstrap, to: target.endpoint).whenComplete { result in
            switch result {
            case .success(let channel): adopt(channel, conversation: conversation.value)
            case .failure(let error):
                conversation.value.closed(.failed("cannot connect to \(target.endpoint): \(error)"))
            }
        }
    }

    private static func connect(_ bootstrap: ClientBootstrap, to endpoint: Endpoint) -> EventLoopFuture<any Channel> {
        switch endpoint {
        case .tcp(let host, let port):
            // An address needs no resolver, which has a thread and a timer for each question.
            guard let address = try? SocketAddress(ipAddress: host, port: port) else {
                return bootstrap.connect(host: host, port: port)
            }
            return bootstrap.connect(to: address)
        case .unix(let path):
            return bootstrap.connect(unixDomainSocketPath: path)
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
        try Connection.configure(channel)
        if case .tcp = target.endpoint { try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1) }
        let connection = Connection(channel: channel, peer: Peer(channel.remoteAddress))
        connection.setTimes(ConnectionTimes(idle: target.timeout, total: .zero))
        if let tls = target.tls { try connection.addClientTLS(tls, name: target.certificateName) }
        let handler = ConnectionHandler(connection: connection, phase: target.tls == nil ? .open : .handshake) { _ in
            conversation
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }
}
