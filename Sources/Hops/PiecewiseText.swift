package import NIOCore
import SMTP
package import Wire

/// A text that is too large to be whole in memory: whoever sends it takes it a piece at a time, and once.
package protocol PiecewiseText: Sendable {
    /// Octets of all pieces together: so many come, or an error before the last of them.
    var byteCount: Int { get }
    /// Tells the next piece, whose lines end with CRLF; nil if the text cannot be read to its end. One at a time; `then` is
    /// called on any thread.
    func next(_ then: @escaping @Sendable (ByteBuffer?) -> Void)
    /// No more is wanted.
    func close()
}

/// Sends such a text over a connection, no faster than the peer takes it. To be used on the connection's event loop.
package final class TextSending {
    private let text: any PiecewiseText
    private let connection: Connection
    private var stuffer: DotStuffer?
    private var left: Int
    private let finished: (_ isWhole: Bool) -> Void
    private var isReading = false
    private var isOver = false

    /// - Parameters:
    ///   - dotStuffed: whether it goes as DATA takes it, with its end; otherwise as it is.
    ///   - finished: called once, unless it is stopped before: all was written, or the text cannot be read.
    package init(
        _ text: any PiecewiseText, dotStuffed: Bool, on connection: Connection,
        finished: @escaping (_ isWhole: Bool) -> Void
    ) {
        self.text = text
        self.connection = connection
        self.finished = finished
        stuffer = dotStuffed ? DotStuffer() : nil
        left = text.byteCount
    }

    /// Sends the next piece, unless one is being read already, or the peer must take more first.
    package func goOn() {
        guard !isReading, !isOver, connection.isOpen, connection.isWritable else { return }
        guard left > 0 else {
            write(ByteBuffer())
            return end(isWhole: true)
        }
        isReading = true
        text.next(
            connection.completion { [self] piece in
                isReading = false
                if !isOver { take(piece) }
            })
    }

    /// Nobody is told.
    package func stop() {
        isOver = true
        text.close()
    }

    private func take(_ piece: ByteBuffer?) {
        guard let piece, (1...left).contains(piece.readableBytes) else { return end(isWhole: false) }
        left -= piece.readableBytes
        write(piece)
        connection.flush()
        // The peer took what was written before.
        connection.madeProgress()
        if left == 0 { end(isWhole: true) } else { goOn() }
    }

    private func write(_ piece: ByteBuffer) {
        guard stuffer != nil else { return connection.write(piece) }
        var output: [UInt8] = []
        output.reserveCapacity(piece.readableBytes + piece.readableBytes / 64 + 8)
        piece.withUnsafeReadableBytes { stuffer?.encode($0, into: &output) }
        if left == 0 { stuffer?.finish(into: &output) }
        connection.write(output)
    }

    private func end(isWhole: Bool) {
        stop()
        finished(isWhole)
    }
}
