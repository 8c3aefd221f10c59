package import Mail
package import NIOCore
import NIOHTTP1
import NIOPosix

/// A small HTTP server on a loopback address that serves what an operator's monitoring asks for: GET and HEAD on fixed paths.
package final class StatusEndpoint: Sendable {
    package typealias Page = @Sendable () -> String

    package let endpoint: Endpoint
    private let channel: any Channel

    private init(endpoint: Endpoint, channel: any Channel) {
        self.endpoint = endpoint
        self.channel = channel
    }

    /// Serves `pages` by path, as `text/plain; version=0.0.4` (Prometheus text format).
    /// - Throws: `EndpointError` if the address cannot be bound, or is none of this machine's own.
    package static func bind(
        _ endpoint: Endpoint, group: any EventLoopGroup, pages: [String: Page]
    ) async throws(EndpointError) -> StatusEndpoint {
        guard case .tcp(let host, let port) = endpoint, endpoint.isLocal else {
            throw EndpointError(
                description: "the status address \(endpoint) must be a TCP port of the loopback interface")
        }
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(StatusHandler(pages: pages))
                }
            }
        do {
            let channel = try await bootstrap.bind(host: host, port: port).get()
            let bound = Endpoint.tcp(host: host, port: channel.localAddress?.port ?? port)
            return StatusEndpoint(endpoint: bound, channel: channel)
        } catch {
            throw EndpointError(description: "cannot listen on \(endpoint): \(error)")
        }
    }

    package func close() async {
        try? await channel.close()
    }
}

private final class StatusHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let pages: [String: StatusEndpoint.Page]
    private var request: HTTPRequestHead?

    init(pages: [String: StatusEndpoint.Page]) {
        self.pages = pages
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = head
        case .body: break
        case .end: answer(context)
        }
    }

    private func answer(_ context: ChannelHandlerContext) {
        guard let request else { return }
        let path = request.uri.prefix { $0 != "?" }
        var status = HTTPResponseStatus.ok
        var text = ""
        if request.method != .GET, request.method != .HEAD {
            status = .methodNotAllowed
        } else if let page = pages[String(path)] {
            text = page()
        } else {
            status = .notFound
            text = pages.keys.sorted().joined(separator: "\n") + "\n"
        }
        let headers: HTTPHeaders = [
            "Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Content-Length": "\(text.utf8.count)",
            "Connection": "close",
        ]
        context.write(
            wrapOutboundOut(.head(.init(version: request.version, status: status, headers: headers))), promise: nil)
        if request.method != .HEAD { write(text, context) }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in bound.value.close(promise: nil) }
    }

    private func write(_ text: String, _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: text)))), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
