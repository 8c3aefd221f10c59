import Hops
import Maildirs
import NIOCore
import Wire

/// Sends one large message from this node's disk to another node, a piece at a time and no faster than it takes them.
final class CopyStreaming {
    private let reader: MessageReader
    private let eventLoop: any EventLoop
    private var stream: MessageStream?
    private var text = CopyText()
    private var isReading = false
    private var octetsRead = 0

    private init(reader: MessageReader, eventLoop: any EventLoop) {
        self.reader = reader
        self.eventLoop = eventLoop
    }

    /// To be called on `eventLoop`; the transaction is told the outcome.
    static func start(
        _ reader: MessageReader, as transaction: NodeTransaction, to target: DialTarget, session: LinkSession,
        timeout: Duration, on eventLoop: any EventLoop
    ) {
        let streaming = CopyStreaming(reader: reader, eventLoop: eventLoop)
        let stream = MessageStream(
            transaction: transaction, session: session, target: target,
            times: ConnectionTimes(idle: timeout, total: .zero),
            stallTimeout: timeout, lagTimeout: timeout, changed: { streaming.pump() }, stalled: { _ in },
            failed: { _ in })
        streaming.stream = stream
        Dialer.connect(target, on: eventLoop, conversation: stream)
    }

    private func pump() {
        guard let stream, !isReading, stream.isGoing, !stream.isBlocked else { return finishIfOver() }
        isReading = true
        let back = NIOLoopBound(self, eventLoop: eventLoop)
        reader.read { [eventLoop] piece in eventLoop.execute { back.value.take(piece) } }
    }

    private func take(_ piece: MessageReader.Piece) {
        isReading = false
        guard let stream, stream.isGoing else { return finishIfOver() }
        guard case .success(let bytes) = piece, !bytes.isEmpty || octetsRead >= reader.size else {
            // What cannot be read to its end is no copy.
            stream.abandon()
            return finishIfOver()
        }
        guard !bytes.isEmpty else { return stream.finish() }
        octetsRead += bytes.count
        var output = ByteBuffer()
        text.append(bytes, to: &output)
        stream.send(output)
        pump()
    }

    private func finishIfOver() {
        guard let stream, !stream.isGoing else { return }
        reader.close()
        self.stream = nil
    }
}
