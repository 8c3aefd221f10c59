import Maildirs
import NIOCore
import POP3
import Wire

/// Sends one message to a POP3 client, a piece at a time and never more than the client takes.
final class MessageSending {
    private let connection: Connection
    private var head: [UInt8]
    private let reader: MessageReader
    private var encoder: POP3MessageEncoder
    private let finished: (_ whole: Bool) -> Void
    private var reading = false
    private var stopped = false
    private var octetsRead = 0
    /// The client has once not taken all that was there for him.
    private var isSlow = false

    private static let slowPieceBytes = 16 << 10

    /// - Parameter head: what goes before the message.
    init(
        head: [UInt8], reader: MessageReader, encoder: POP3MessageEncoder, connection: Connection,
        finished: @escaping (_ whole: Bool) -> Void
    ) {
        self.head = head
        self.reader = reader
        self.connection = connection
        self.finished = finished
        self.encoder = encoder
    }

    /// Sends what is there of the message, and reads the next piece, unless one is on its way or the client must take more
    /// first. What makes the message whole is written, and is for others to flush.
    func goOn() {
        guard !reading, !stopped, connection.isOpen, connection.isWritable else { return }
        if let ready = reader.ready() { return take(ready) }
        reading = true
        reader.read(
            bytesMax: isSlow ? Self.slowPieceBytes : MessageReader.pieceBytesMax,
            then: connection.completion { [self] result in
                reading = false
                if !stopped { take(result) }
            })
    }

    func stop() {
        stopped = true
        reader.close()
    }

    private func take(_ piece: MessageReader.Piece) {
        switch piece {
        case .success(let piece): send(piece)
        case .failure: finish(whole: false)
        }
    }

    private func send(_ piece: [UInt8]) {
        octetsRead += piece.count
        let room = encoder.roomBytes(for: piece)
        var output = ByteBufferAllocator().buffer(capacity: head.count + room)
        output.writeBytes(head)
        head = []
        encoder.encode(piece, into: &output)
        let isWhole = encoder.isSatisfied || octetsRead >= reader.size
        // A file that became shorter is no whole message, however well it ends.
        if piece.isEmpty, !isWhole { return finish(whole: false) }
        if isWhole { encoder.finish(into: &output) }
        connection.write(output)
        connection.madeProgress()
        if isWhole { return finish(whole: true) }
        connection.flush()
        if !connection.isWritable { isSlow = true }
        goOn()
    }

    private func finish(whole: Bool) {
        stop()
        finished(whole)
    }
}

extension POP3MessageEncoder {
    /// Room for a piece and the end behind it.
    func roomBytes(for piece: [UInt8]) -> Int {
        Self.maximumOutputBytes(forInput: piece.count) + Self.finishBytesMax
    }

    mutating func encode(_ piece: [UInt8], into output: inout ByteBuffer) {
        let room = Self.maximumOutputBytes(forInput: piece.count)
        piece.withUnsafeBytes { input in
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { encode(input, into: $0) }
        }
    }

    mutating func finish(into output: inout ByteBuffer) {
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.finishBytesMax) { finish(into: $0) }
    }
}
