import Mail

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How lines end in a QMTP message: its first byte tells. QMQP knows LF alone.
package enum LineEnds: Sendable, Hashable {
    case lf, crlf

    /// The message's first byte.
    package var mark: UInt8 { self == .lf ? Byte.lf : Byte.cr }
}

/// Gives a message CRLF line ends, piece by piece, and notices what makes it a message that nobody may have: a CR or LF
/// that ends no line, which somebody could take for one later (RFC 5321 §2.3.8), or more than the limits allow.
struct TextDecoder: Sendable {
    private let lineEnds: LineEnds
    private let limits: QMTPLimits
    private var last = Byte.lf
    private var hasBareLineEnd = false
    private var lineBytes = 0
    private var isLineTooLong = false
    /// Octets so far, with CRLF line ends.
    private(set) var byteCount = 0

    init(_ lineEnds: LineEnds, limits: QMTPLimits) {
        self.lineEnds = lineEnds
        self.limits = limits
    }

    /// Why the message is refused; the same however its bytes are cut.
    var fault: Reason? {
        if byteCount > limits.messageBytesMax { return .tooBig }
        if isLineTooLong { return .lineTooLong }
        return hasBareLineEnd ? .bareLineEnd : nil
    }

    /// Whether what came so far ends in the middle of a line.
    var endsInsideLine: Bool { last != Byte.lf }

    /// Nothing more follows: a CR that waits for its LF is a fault.
    mutating func finish() {
        if last == Byte.cr { hasBareLineEnd = true }
    }

    /// The next bytes of the message with CRLF line ends; none after a fault.
    mutating func decode(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        guard let end = bytes.last else { return [] }
        check(bytes)
        let lineCount = measure(bytes)
        last = end
        byteCount += bytes.count + (lineEnds == .lf ? lineCount : 0)
        if fault != nil { return [] }
        return lineEnds == .crlf ? Array(bytes) : Self.withCarriageReturns(bytes)
    }

    private mutating func check(_ bytes: UnsafeRawBufferPointer) {
        guard lineEnds == .crlf else {
            if bytes.position(of: Byte.cr, from: 0) != nil { hasBareLineEnd = true }
            return
        }
        var previous = last
        var at = 0
        while at < bytes.count, !hasBareLineEnd {
            // A CR is followed by LF, and each LF was followed up from its CR.
            if previous == Byte.cr {
                hasBareLineEnd = bytes[at] != Byte.lf
                previous = bytes[at]
                at += 1
                continue
            }
            let cr = bytes.position(of: Byte.cr, from: at) ?? bytes.count
            hasBareLineEnd = UnsafeRawBufferPointer(rebasing: bytes[..<cr]).position(of: Byte.lf, from: at) != nil
            previous = cr < bytes.count ? Byte.cr : 0
            at = cr + 1
        }
    }

    /// How many lines end here; each is measured with its CRLF.
    private mutating func measure(_ bytes: UnsafeRawBufferPointer) -> Int {
        let addition = lineEnds == .lf ? 1 : 0
        var count = 0
        var at = 0
        while let lf = bytes.position(of: Byte.lf, from: at) {
            lineBytes += lf + 1 - at + addition
            if lineBytes > limits.textLineBytesMax { isLineTooLong = true }
            lineBytes = 0
            count += 1
            at = lf + 1
        }
        lineBytes += bytes.count - at
        if lineBytes > limits.textLineBytesMax { isLineTooLong = true }
        return count
    }

    private static func withCarriageReturns(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 32 + 2)
        var at = 0
        while let lf = bytes.position(of: Byte.lf, from: at) {
            output.append(contentsOf: bytes[at..<lf])
            output.append(Byte.cr)
            output.append(Byte.lf)
            at = lf + 1
        }
        output.append(contentsOf: bytes[at...])
        return output
    }
}

extension UnsafeRawBufferPointer {
    /// The first place of `byte` at or behind `start`.
    func position(of byte: UInt8, from start: Int) -> Int? {
        guard start < count, let base = baseAddress else { return nil }
        return memchr(base + start, Int32(byte), count - start).map { UnsafeRawPointer($0) - base }
    }
}
