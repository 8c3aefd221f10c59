import Glibc

/// A read or write that failed: the errno, or 0 where the other side has closed.
struct DescriptorFailure: Error, Hashable {
    let errorNumber: Int32

    static let closed = DescriptorFailure(errorNumber: 0)

    var text: String { errorNumber == 0 ? "end of file" : Printable.error(errorNumber) }
}

/// Waiting for descriptors.
enum Readiness {
    /// Waits until one of them is ready or has failed.
    ///
    /// - Parameter timeout: nil for no end of waiting.
    /// - Returns: what poll(2) says of each; nothing is set if the time is over.
    static func wait(
        _ wanted: [(descriptor: Int32, events: Int32)], timeout: Duration?
    ) throws(DescriptorFailure) -> [Int32] {
        var polled = wanted.map { pollfd(fd: $0.descriptor, events: Int16($0.events), revents: 0) }
        let milliseconds = timeout.map {
            Int32(clamping: $0.components.seconds * 1000 + $0.components.attoseconds / 1_000_000_000_000_000)
        }
        while true {
            let count = poll(&polled, nfds_t(polled.count), milliseconds ?? -1)
            if count >= 0 { return polled.map { Int32($0.revents) } }
            if errno != EINTR { throw DescriptorFailure(errorNumber: errno) }
        }
    }

    static func waitForOne(_ descriptor: Int32, _ events: Int32, timeout: Duration?) throws(DescriptorFailure) {
        if try wait([(descriptor, events)], timeout: timeout) == [0] { throw DescriptorFailure(errorNumber: ETIMEDOUT) }
    }
}

/// Reads a descriptor that another process may share, so that it stays as it is: what would block is waited for.
final class TimedReader {
    private let descriptor: Int32
    private let timeout: Duration?
    private(set) var unread: [UInt8] = []

    init(_ descriptor: Int32, timeout: Duration?) {
        self.descriptor = descriptor
        self.timeout = timeout
    }

    /// Reads more behind `unread`; false at the end.
    func fill() throws(DescriptorFailure) -> Bool {
        try Readiness.waitForOne(descriptor, Int32(POLLIN), timeout: timeout)
        let room = 32 << 10
        while true {
            var count = 0
            let piece = [UInt8](unsafeUninitializedCapacity: room) { buffer, length in
                count = read(descriptor, buffer.baseAddress, room)
                length = max(0, count)
            }
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw DescriptorFailure(errorNumber: errno) }
            unread += piece
            return count > 0
        }
    }

    func drop(_ count: Int) { unread.removeFirst(count) }

    /// Takes what stands before the next `end`, without it.
    ///
    /// - Returns: nil if the input ends first; what came of an unfinished line stays in `unread`.
    func take(upTo end: UInt8, bytesMax: Int) throws(DescriptorFailure) -> [UInt8]? {
        var scanned = 0
        while true {
            if let found = unread[scanned...].firstIndex(of: end) {
                defer { drop(found + 1) }
                return Array(unread[..<found])
            }
            scanned = unread.count
            if scanned >= bytesMax { throw DescriptorFailure(errorNumber: EMSGSIZE) }
            if try !fill() { return nil }
        }
    }
}

/// Writes to a descriptor in pieces, each of which may take so long.
final class TimedWriter {
    private let descriptor: Int32
    private let timeout: Duration?
    private var pending: [UInt8] = []

    /// Octets that gather before they are written.
    private static let pendingBytesMax = 32 << 10

    init(_ descriptor: Int32, timeout: Duration?) {
        self.descriptor = descriptor
        self.timeout = timeout
    }

    func put(_ text: String) throws(DescriptorFailure) { try put(Array(text.utf8)) }

    func put(_ bytes: [UInt8]) throws(DescriptorFailure) {
        pending += bytes
        if pending.count >= Self.pendingBytesMax { try flush() }
    }

    func flush() throws(DescriptorFailure) {
        var rest = pending[...]
        pending = []
        while !rest.isEmpty {
            try Readiness.waitForOne(descriptor, Int32(POLLOUT), timeout: timeout)
            rest = rest.dropFirst(try PromptWrite.some(of: rest, to: descriptor))
        }
    }
}

/// A write that does not block once poll(2) has said that there is room, whatever the descriptor is.
enum PromptWrite {
    /// - Returns: how many bytes were taken.
    static func some(of bytes: ArraySlice<UInt8>, to descriptor: Int32) throws(DescriptorFailure) -> Int {
        let count = bytes.withUnsafeBytes { bytes in
            let sent = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
            // A pipe with room takes so much without blocking.
            return sent < 0 && errno == ENOTSOCK ? write(descriptor, bytes.baseAddress, min(bytes.count, 4096)) : sent
        }
        if count >= 0 { return count }
        if errno == EAGAIN || errno == EINTR { return 0 }
        throw DescriptorFailure(errorNumber: errno)
    }
}
