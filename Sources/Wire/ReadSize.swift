import NIOCore

/// How much a socket is asked for at once: little until it has brought more, then a usual message in one piece, and up to
/// 64 KiB while a large one comes in.
///
/// A channel keeps its buffer for the next read, also while it is idle; one for large pieces is made for each of them, and
/// kept by nobody.
struct ReadSize: RecvByteBufferAllocator {
    private static let first = 2 << 10
    private static let usual = 8 << 10
    private static let large = 64 << 10

    private var size = Self.first
    /// How many reads in a row have brought less than would have been worth a large buffer.
    private var smallReads = 0

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { allocator.buffer(capacity: size) }

    /// Nil for a buffer that is not kept.
    func nextBufferSize() -> Int? { size == Self.large ? nil : size }

    /// Whether the buffer that is kept will not do for the next read.
    mutating func record(actualReadBytes: Int) -> Bool {
        if actualReadBytes >= size {
            size = size == Self.first ? Self.usual : Self.large
            smallReads = 0
        } else if size == Self.large {
            smallReads = actualReadBytes <= Self.usual ? smallReads + 1 : 0
            if smallReads == 2 { size = Self.usual }
        }
        return size == Self.large
    }
}
