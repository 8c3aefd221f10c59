import Hops
import NIOCore
import SMTP

/// A message of a queue as it comes from a node: first its envelope, then its text, as far as somebody takes it.
///
/// To be used on one event loop.
final class FetchedRead {
    private var arrived = ByteBuffer()
    /// Octets that have not come yet, as the node has announced them.
    private var left: Int
    private var hasFailed = false
    private var isEnded = false
    /// Whether what comes is thrown away.
    private var isUnwanted = false
    private var begun: ((QueuedEnvelope?) -> Void)?
    private var wanted: (@Sendable (ByteBuffer?) -> Void)?
    private var goOn: (() -> Void)?

    /// An envelope has no more octets.
    private static let headBytesMax = 4096
    /// What gathers before the node has to wait.
    private static let heldBytesMax = 64 << 10

    /// - Parameters:
    ///   - octets: of the whole message.
    ///   - begun: told the envelope, once, unless the message cannot be read; nil if there is none.
    init(octets: Int, begun: @escaping (QueuedEnvelope?) -> Void) {
        left = octets
        self.begun = begun
    }

    /// Octets that were not given on yet.
    var byteCount: Int { arrived.readableBytes + left }

    /// What the node sends.
    func take(_ piece: UnsafeRawBufferPointer, _ wait: (RemoteMaildrop.Wait) -> Void) {
        left -= piece.count
        if isUnwanted { return }
        arrived.writeBytes(piece)
        giveOn()
        if begun == nil, arrived.readableBytes >= Self.heldBytesMax { wait { [self] in goOn = $0 } }
    }

    /// The node has sent everything, or failed. False if whoever wants the message has not heard of it yet.
    func ended(isWhole: Bool) -> Bool {
        isEnded = true
        hasFailed = !isWhole || left != 0
        if !isWhole, begun != nil {
            begun = nil
            return false
        }
        giveOn()
        return true
    }

    /// See `PiecewiseText`.
    func next(_ then: @escaping @Sendable (ByteBuffer?) -> Void) {
        wanted = then
        giveOn()
    }

    /// The rest is read, because other answers come behind it, and thrown away.
    func discard() {
        isUnwanted = true
        arrived = ByteBuffer()
        (begun, wanted) = (nil, nil)
        resume()
    }

    private func giveOn() {
        if let begun, arrived.readableBytes >= Self.headBytesMax || left <= 0 {
            self.begun = nil
            let envelope = QueuedEnvelope(Array(arrived.readableBytesView.prefix(Self.headBytesMax)))
            if let envelope { arrived.moveReaderIndex(forwardBy: envelope.byteCount) }
            begun(envelope)
        }
        guard let wanted, begun == nil else { return }
        if hasFailed {
            self.wanted = nil
            wanted(nil)
        } else if arrived.readableBytes > 0, left > 0 || isEnded {
            // The last piece is kept back until it is known that nothing is missing, and nothing too much.
            self.wanted = nil
            let piece = arrived
            arrived = ByteBuffer()
            wanted(piece)
            resume()
        }
    }

    private func resume() {
        let goOn = goOn
        self.goOn = nil
        goOn?()
    }
}

/// The text behind the envelope.
struct FetchedText: PiecewiseText {
    let byteCount: Int
    private let read: NIOLoopBound<FetchedRead>

    /// - Parameter read: has told its envelope.
    init(_ read: FetchedRead, on eventLoop: any EventLoop) {
        byteCount = read.byteCount
        self.read = NIOLoopBound(read, eventLoop: eventLoop)
    }

    func next(_ then: @escaping @Sendable (ByteBuffer?) -> Void) { read.value.next(then) }

    func close() { read.value.discard() }
}
