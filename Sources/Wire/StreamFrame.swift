/// One frame of a connection that several streams share: a head of eight octets, and for `data` and `note` their bytes
/// behind it.
///
/// The head is a kind (one octet), a length or count (three octets) and the stream's number (four octets), all big endian.
enum StreamFrame {
    enum Kind: UInt8 {
        /// The side that connected begins a stream. Numbers grow, and none is used twice.
        case open = 1
        /// So many bytes of the stream follow, at least one.
        case data = 2
        /// So many bytes have been taken, at least one: as many more may be sent.
        case credit = 3
        /// The sender says no more on the stream, but goes on reading it.
        case end = 4
        /// The stream is over: its sender neither says nor reads more.
        case close = 5
        /// So many bytes follow, at least one, that are not the stream's: what one conversation tells the other beside it.
        case note = 6
    }

    static let headBytes = 8
    /// What fits into a head's three octets.
    static let lengthMax = 1 << 24 - 1
    /// The longest note, in octets. Notes are given whole.
    static let noteBytesMax = 64 << 10

    static func head(_ kind: Kind, _ stream: UInt32, length: Int = 0) -> UInt64 {
        UInt64(kind.rawValue) << 56 | UInt64(length) << 32 | UInt64(stream)
    }
}

/// Takes a shared connection's input apart. Data is given as it comes: no frame is waited for whole.
struct StreamDecoder {
    enum Event: Equatable {
        case needBytes
        case open(UInt32)
        /// The next `count` unread bytes are the stream's.
        case data(UInt32, count: Int)
        case credit(UInt32, count: Int)
        /// The next `count` unread bytes are a note's, of which `left` have yet to come.
        case note(UInt32, count: Int, left: Int)
        case end(UInt32)
        case close(UInt32)
        /// This is no frame; nothing that follows can be understood.
        case violation(String)
    }

    /// The stream of the bytes that are coming, and how many of them have yet to come.
    private var stream: UInt32 = 0
    private var left = 0
    private var isNote = false

    /// What the unread bytes begin with, and how many of them to drop first: for `data` and `note` those before their bytes.
    mutating func next(_ unread: UnsafeRawBufferPointer) -> (consumed: Int, event: Event) {
        if left > 0 { return (0, take(unread.count)) }
        guard unread.count >= StreamFrame.headBytes else { return (0, .needBytes) }
        let head = UInt64(bigEndian: unread.loadUnaligned(as: UInt64.self))
        let event = begin(head, unread.count - StreamFrame.headBytes)
        return (StreamFrame.headBytes, event)
    }

    private mutating func begin(_ head: UInt64, _ available: Int) -> Event {
        let stream = UInt32(truncatingIfNeeded: head)
        let count = Int(head >> 32 & UInt64(StreamFrame.lengthMax))
        let kind = StreamFrame.Kind(rawValue: UInt8(head >> 56))
        switch kind {
        case .open: return .open(stream)
        case .end: return .end(stream)
        case .close: return .close(stream)
        case .credit where count == 0, .data where count == 0, .note where count == 0:
            return .violation("a frame of no octets")
        case .note where count > StreamFrame.noteBytesMax: return .violation("a note of \(count) octets")
        case .credit: return .credit(stream, count: count)
        case .data, .note:
            self.stream = stream
            left = count
            isNote = kind == .note
            return take(available)
        case nil:
            return .violation("no frame begins with \(head >> 56)")
        }
    }

    private mutating func take(_ available: Int) -> Event {
        let count = min(left, available)
        left -= count
        guard count > 0 else { return .needBytes }
        return isNote ? .note(stream, count: count, left: left) : .data(stream, count: count)
    }
}
