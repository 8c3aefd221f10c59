import NIOCore

/// Sends every whole line back, all those of one read in one write.
final class LineEcho: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var unread = ByteBuffer()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if unread.readableBytes == 0 { unread = bytes } else { unread.writeBuffer(&bytes) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard let end = unread.readableBytesView.lastIndex(of: UInt8(ascii: "\n")),
            let lines = unread.readSlice(length: end - unread.readerIndex + 1)
        else { return }
        if unread.readableBytes == 0 { unread = ByteBuffer() }
        context.writeAndFlush(wrapOutboundOut(lines), promise: nil)
    }
}
