import Hops
import Maildirs
import NIOCore
import Synchronization

/// The text of a message on disk that is too large to be whole in memory, without the envelope above it.
final class LargeText: PiecewiseText {
    /// With CRLF line ends.
    let byteCount: Int
    private let reader: MessageReader
    private let state: Mutex<State>

    private struct State {
        var copy = CopyText()
        /// Octets of the file that are no text, and come first.
        var skipped: Int
        var octetsRead = 0
        var left: Int
    }

    /// - Parameters:
    ///   - reader: at the file's beginning; nobody else reads from it.
    ///   - envelopeBytes: what stands above the text, fewer octets than a first piece has.
    init(_ reader: MessageReader, below envelopeBytes: Int, byteCount: Int) {
        self.reader = reader
        self.byteCount = byteCount
        state = Mutex(State(skipped: envelopeBytes, left: byteCount))
    }

    func next(_ then: @escaping @Sendable (ByteBuffer?) -> Void) {
        reader.read { [self] piece in
            guard case .success(let bytes) = piece else { return then(nil) }
            then(take(bytes))
        }
    }

    func close() { reader.close() }

    /// Nil if the file is not what was measured.
    private func take(_ bytes: [UInt8]) -> ByteBuffer? {
        state.withLock { state in
            state.octetsRead += bytes.count
            var output = ByteBuffer()
            output.reserveCapacity(bytes.count + bytes.count / 32)
            state.copy.append(state.skipped == 0 ? bytes : Array(bytes.dropFirst(state.skipped)), to: &output)
            state.skipped = 0
            state.left -= output.readableBytes
            let isEnd = state.octetsRead >= reader.size
            return output.readableBytes > 0 && (isEnd ? state.left == 0 : state.left > 0) ? output : nil
        }
    }
}
