import NIOCore

/// A connection closed before its last echo.
struct LinesLost: Error {}

/// Sends lines in lock-step: each one after the echo of the one before.
final class LineDriver: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let line = ByteBuffer(string: "a line as long as many commands are\r\n")

    private var left: Int
    private var awaited = 0
    private let end: EventLoopPromise<Void>

    /// - Parameter end: told once the last echo is there.
    init(lines: Int, end: EventLoopPromise<Void>) {
        left = lines
        self.end = end
    }

    func handlerAdded(context: ChannelHandlerContext) { sendNext(context) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        awaited -= unwrapInboundIn(data).readableBytes
        if awaited == 0 { sendNext(context) }
    }

    private func sendNext(_ context: ChannelHandlerContext) {
        guard left > 0 else { return end.succeed() }
        left -= 1
        awaited = Self.line.readableBytes
        context.writeAndFlush(wrapOutboundOut(Self.line), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end.fail(LinesLost())
        context.fireChannelInactive()
    }
}
