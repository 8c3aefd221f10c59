import NIOCore
import Synchronization

/// How many octets of messages whose recipients are not known yet a frontend holds, of all connections together.
final class TextMemory: Sendable {
    private let bytesMax: Int
    private let used = Atomic<Int>(0)

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// False if there is no room for so many more.
    func take(_ count: Int) -> Bool {
        var seen = used.load(ordering: .relaxed)
        while count <= bytesMax - seen {
            let (exchanged, original) = used.weakCompareExchange(
                expected: seen, desired: seen + count, ordering: .relaxed)
            if exchanged { return true }
            seen = original
        }
        return false
    }

    func giveBack(_ count: Int) { used.subtract(count, ordering: .relaxed) }
}

/// The text of one message until it is known who gets it: in QMTP and QMQP the envelope comes last.
final class HeldText {
    private let memory: TextMemory
    private var byteCount = 0
    private var pieces: [ByteBuffer] = []
    private var given = 0

    /// Small pieces go together, so that a message costs what it weighs, however it came.
    private static let pieceBytes = 64 << 10

    init(_ memory: TextMemory) { self.memory = memory }

    deinit { memory.giveBack(byteCount) }

    /// False if there is no room for it.
    func append(_ bytes: [UInt8]) -> Bool {
        guard memory.take(bytes.count) else { return false }
        byteCount += bytes.count
        if let last = pieces.indices.last, pieces[last].readableBytes + bytes.count <= Self.pieceBytes {
            pieces[last].writeBytes(bytes)
        } else {
            pieces.append(ByteBuffer(bytes: bytes))
        }
        return true
    }

    /// The pieces one after the other, each once.
    func next() -> ByteBuffer? {
        guard given < pieces.count else { return nil }
        defer { given += 1 }
        let piece = pieces[given]
        pieces[given] = ByteBuffer()
        return piece
    }
}
