#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Makes of a message as it lies on disk the multi-line response that carries it (RFC 1939 §3): LF becomes CRLF, CRLF
/// stays, lines that start with a dot get another, a last line without an end gets one, and `.` CRLF ends it all.
///
/// The input comes in pieces of any length, and so goes the output: nothing is kept but a few numbers.
package struct POP3MessageEncoder: Sendable {
    /// What `finish(into:)` writes at most: a missing CRLF, and `.` CRLF.
    package static let finishBytesMax = 5

    /// Body lines yet to come. Nil sends the whole message.
    private var linesLeft: Int?
    private var isInHeader = true
    /// Bytes of the unfinished line so far, its CR too.
    private var lineLength = 0
    private var endsWithCR = false

    /// TOP has all its lines: what the message goes on with is not looked at, and need not be read.
    package private(set) var isSatisfied = false

    /// - Parameter topLines: for TOP, how many lines to send behind the header and the empty line (RFC 1939 §7).
    package init(topLines: Int? = nil) {
        linesLeft = topLines.map { max(0, $0) }
    }

    /// How much room `encode(_:into:)` needs for an input of `count` bytes: every byte may gain another.
    package static func maximumOutputBytes(forInput count: Int) -> Int { count * 2 }

    /// Encodes one piece of the message.
    ///
    /// - Parameter output: at least `maximumOutputBytes(forInput:)` bytes.
    /// - Returns: how many bytes were written.
    package mutating func encode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int {
        guard !isSatisfied, let source = input.baseAddress, input.count > 0 else { return 0 }
        precondition(output.count >= Self.maximumOutputBytes(forInput: input.count), "no room for the message")
        guard var sink = output.baseAddress else { return 0 }
        let start = sink
        var position = 0
        while position < input.count, !isSatisfied {
            if lineLength == 0, input[position] == dot { put(dot, &sink) }
            let left = input.count - position
            guard let found = memchr(source + position, Int32(lineFeed), left) else {
                copy(source + position, left, &sink)
                break
            }
            let length = UnsafeRawPointer(found) - (source + position)
            if length > 0 { copy(source + position, length, &sink) }
            if !endsWithCR { put(carriageReturn, &sink) }
            put(lineFeed, &sink)
            endLine()
            position += length + 1
        }
        return sink - start
    }

    /// Ends the response.
    ///
    /// - Parameter output: at least `finishBytesMax` bytes.
    /// - Returns: how many bytes were written.
    package mutating func finish(into output: UnsafeMutableRawBufferPointer) -> Int {
        precondition(output.count >= Self.finishBytesMax, "no room for the end of the message")
        guard var sink = output.baseAddress else { return 0 }
        let start = sink
        if lineLength > 0 {
            put(carriageReturn, &sink)
            put(lineFeed, &sink)
        }
        for byte in [dot, carriageReturn, lineFeed] { put(byte, &sink) }
        lineLength = 0
        isSatisfied = true
        return sink - start
    }

    private mutating func copy(_ source: UnsafeRawPointer, _ count: Int, _ sink: inout UnsafeMutableRawPointer) {
        sink.copyMemory(from: source, byteCount: count)
        sink += count
        lineLength += count
        endsWithCR = source.load(fromByteOffset: count - 1, as: UInt8.self) == carriageReturn
    }

    private func put(_ byte: UInt8, _ sink: inout UnsafeMutableRawPointer) {
        sink.storeBytes(of: byte, as: UInt8.self)
        sink += 1
    }

    /// The empty line that ends the header comes free; behind it TOP counts each line.
    private mutating func endLine() {
        if !isInHeader {
            countLine()
        } else if lineLength == 0 || (lineLength == 1 && endsWithCR) {
            isInHeader = false
            isSatisfied = linesLeft == 0
        }
        lineLength = 0
        endsWithCR = false
    }

    private mutating func countLine() {
        guard let left = linesLeft else { return }
        linesLeft = left - 1
        isSatisfied = left == 1
    }
}
