/// One frame of a connection that several streams share: a head of eight octets, and for `data` its bytes behind it.
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
    }

    static let headBytes = 8
    /// What fits into a head's three octets.
    static let lengthMax = 1 << 24 - 1

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
        case end(UInt32)
        case close(UInt32)
        /// This is no frame; nothing that follows can be understood.
        case violation(String)
    }

    /// The stream of the data that is coming, and how much of it has yet to come.
    private var stream: UInt32 = 0
    private var dataLeft = 0

    /// What the unread bytes begin with, and how many of them to drop first: for `data` those before its bytes.
    mutating func next(_ unread: UnsafeRawBufferPointer) -> (consumed: Int, event: Event) {
        if dataLeft > 0 { return (0, takeData(unread.count)) }
        guard unread.count >= StreamFrame.headBytes else { return (0, .needBytes) }
        let head = UInt64(bigEndian: unread.loadUnaligned(as: UInt64.self))
        let event = begin(head, unread.count - StreamFrame.headBytes)
        return (StreamFrame.headBytes, event)
    }

    private mutating func begin(_ head: UInt64, _ available: Int) -> Event {
        let stream = UInt32(truncatingIfNeeded: head)
        let count = Int(head >> 32 & UInt64(StreamFrame.lengthMax))
        switch StreamFrame.Kind(rawValue: UInt8(head >> 56)) {
        case .open: return .open(stream)
        case .end: return .end(stream)
        case .close: return .close(stream)
        case .credit where count == 0, .data where count == 0: return .violation("a frame of no octets")
        case .credit: return .credit(stream, count: count)
        case .data:
            self.stream = stream
            dataLeft = count
            return takeData(available)
        case nil:
            return .violation("no frame begins with \(head >> 56)")
        }
    }

    private mutating func takeData(_ available: Int) -> Event {
        let count = min(dataLeft, available)
        dataLeft -= count
        return count > 0 ? .data(stream, count: count) : .needBytes
    }
}
