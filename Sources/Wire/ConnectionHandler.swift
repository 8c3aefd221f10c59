import NIOCore
import NIOSSL
import NIOTLS

/// The last handler of every pipeline: turns channel events into calls of the conversation.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// What must happen before the conversation hears of the connection.
    enum Phase {
        /// A balancer's PROXY header; then implicit TLS, if there is any.
        case proxyHeader(then: ServerTLS?)
        case handshake
        case open
        /// There are too many already: the text is said, if there is any, and that is all.
        case refused(String)
    }

    let connection: Connection
    private let makeConversation: (Connection) -> (any Conversation)?
    private var phase: Phase

    /// - Parameter makeConversation: called when the peer's true address is known; nil refuses it (already answered).
    init(connection: Connection, phase: Phase, makeConversation: @escaping (Connection) -> (any Conversation)?) {
        self.connection = connection
        self.phase = phase
        self.makeConversation = makeConversation
    }

    func channelActive(context: ChannelHandlerContext) {
        start()
    }

    /// Names who hears of the end of a connection that may end before it is open.
    func adopt(_ conversation: any Conversation) {
        if case .open = phase { return }
        connection.conversation = conversation
    }

    private func start() {
        switch phase {
        case .open: open()
        case .proxyHeader, .handshake: connection.requestRead()
        case .refused(let text): refuse(text)
        }
    }

    private func refuse(_ text: String) {
        connection.write(Array(text.utf8))
        connection.close()
    }

    private func open() {
        phase = .open
        guard let conversation = makeConversation(connection) else { return connection.close() }
        connection.conversation = conversation
        conversation.opened(connection)
        connection.tellUnread()
        connection.requestRead()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        connection.unread.appendOrTake(&bytes)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        connection.readFinished()
        switch phase {
        case .proxyHeader(let tls): readProxyHeader(then: tls, context: context)
        case .handshake, .refused: break
        case .open: connection.tellUnread()
        }
        connection.requestRead()
    }

    private func readProxyHeader(then tls: ServerTLS?, context: ChannelHandlerContext) {
        let decoded = connection.unread.withUnsafeReadableBytes { ProxyProtocolDecoder().decode($0) }
        switch decoded {
        case .needBytes:
            break
        case .invalid(let why):
            connection.endReason = .failed("PROXY header: \(why)")
            connection.abort()
        case .header(let consumed, let source, _):
            connection.consume(consumed)
            if let source { connection.peer = Peer(address: source.address, port: source.port) }
            if let tls {
                phase = .handshake
                let early = connection.unread
                connection.unread = ByteBuffer()
                connection.startTLS(tls)
                if early.readableBytes > 0 {
                    context.pipeline.fireChannelRead(early)
                    context.pipeline.fireChannelReadComplete()
                }
            } else {
                open()
            }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted:
            connection.tlsVersion = context.channel.tlsVersionName
            if case .handshake = phase { open() } else { connection.conversation?.tlsStarted(connection) }
        case ChannelEvent.inputClosed:
            inputClosed(context: context)
        case is DrainEvent:
            connection.conversation?.draining(connection)
        case is DrainEndEvent:
            if !connection.owesAnswer { context.channel.close(promise: nil) }
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func inputClosed(context: ChannelHandlerContext) {
        connection.inputEnded = true
        if connection.lingeringEnded() { return }
        guard case .open = phase, let conversation = connection.conversation else { return connection.abort() }
        conversation.received(connection)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        connection.isChannelWritable = context.channel.isWritable
        if connection.isWritable { connection.conversation?.writable(connection) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .some(NIOSSLError.uncleanShutdown) = error as? NIOSSLError { return }
        connection.endReason = .failed("\(error)")
        connection.abort()
    }

    func channelInactive(context: ChannelHandlerContext) {
        connection.ended()
        context.fireChannelInactive()
    }
}

extension ByteBuffer {
    /// Adds `bytes`; where there is nothing yet, takes them over without a copy.
    ///
    /// What has been read is let go: where a rest always stays unread, such as half a line, the buffer would otherwise grow
    /// by all that ever came.
    mutating func appendOrTake(_ bytes: inout ByteBuffer) {
        guard readableBytes > 0 else { return self = bytes }
        if readerIndex >= readableBytes { discardReadBytes() }
        writeBuffer(&bytes)
    }
}

extension Channel {
    fileprivate var tlsVersionName: String {
        let operations = pipeline.syncOperations
        let version =
            (try? operations.handler(type: NIOSSLServerHandler.self).tlsVersion)
            ?? (try? operations.handler(type: NIOSSLClientHandler.self).tlsVersion)
        return version == .tlsv12 ? "TLSv1.2" : "TLSv1.3"
    }
}
