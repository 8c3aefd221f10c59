import Maildirs
import NIOCore
import POP3
import Wire

/// Sends one message to a POP3 client, a piece at a time and never more than the client takes.
final class MessageSending {
    private let connection: Connection
    private let reader: MessageReader
    private var encoder: POP3MessageEncoder
    private let finished: (_ whole: Bool) -> Void
    private var reading = false
    private var stopped = false
    private var octetsRead = 0
    /// The client has once not taken all that was there for him.
    private var isSlow = false

    private static let slowPieceBytes = 16 << 10

    init(
        reader: MessageReader, encoder: POP3MessageEncoder, connection: Connection,
        finished: @escaping (_ whole: Bool) -> Void
    ) {
        self.reader = reader
        self.connection = connection
        self.finished = finished
        self.encoder = encoder
    }

    /// Reads the next piece, unless one is on its way or the client must take more first.
    func goOn() {
        guard !reading, !stopped, connection.isOpen, connection.isWritable else { return }
        reading = true
        reader.read(
            bytesMax: isSlow ? Self.slowPieceBytes : MessageReader.pieceBytesMax,
            then: connection.completion { [self] result in
                reading = false
                guard !stopped else { return }
                switch result {
                case .success(let piece): send(piece)
                case .failure: finish(whole: false)
                }
            })
    }

    func stop() {
        stopped = true
        reader.close()
    }

    private func send(_ piece: [UInt8]) {
        octetsRead += piece.count
        guard !piece.isEmpty else {
            // A file that became shorter is no whole message, however well it ends.
            guard encoder.isSatisfied || octetsRead >= reader.size else { return finish(whole: false) }
            var end = connection.buffer(capacity: POP3MessageEncoder.finishBytesMax)
            end.writeWithUnsafeMutableBytes(minimumWritableBytes: POP3MessageEncoder.finishBytesMax) {
                encoder.finish(into: $0)
            }
            connection.write(end)
            return finish(whole: true)
        }
        let room = POP3MessageEncoder.maximumOutputBytes(forInput: piece.count)
        var output = connection.buffer(capacity: room)
        piece.withUnsafeBytes { input in
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { encoder.encode(input, into: $0) }
        }
        connection.write(output)
        connection.flush()
        connection.madeProgress()
        if !connection.isWritable { isSlow = true }
        if encoder.isSatisfied { send([]) } else { goOn() }
    }

    private func finish(whole: Bool) {
        stop()
        finished(whole)
    }
}
