package import NIOCore
package import SMTP

extension DotStuffer {
    /// A whole message as DATA takes it, with its end.
    package static func whole(_ text: ByteBuffer) -> ByteBuffer {
        var stuffer = DotStuffer()
        var stuffed: [UInt8] = []
        stuffed.reserveCapacity(text.readableBytes + text.readableBytes / 64 + 8)
        text.withUnsafeReadableBytes { stuffer.encode($0, into: &stuffed) }
        stuffer.finish(into: &stuffed)
        return ByteBuffer(bytes: stuffed)
    }
}
