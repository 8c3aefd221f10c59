/// Takes one message's netstrings apart as they come, and keeps nothing but the address that it is reading.
///
/// QMTP: `N(line end, text) N(sender) N(N(recipient)...)`, again and again. QMQP: `N(N(text) N(sender) N(recipient)...)`.
struct PackageDecoder: Sendable {
    enum Framing: Sendable { case qmtp, qmqp }

    enum Event: Equatable {
        /// Nothing more to tell until more bytes come.
        case needBytes
        case textStarts(byteCount: Int, LineEnds)
        /// The next bytes of the text, as offsets into what was given.
        case text(Range<Int>)
        case textEnded
        /// The envelope sender; nil if it is too long.
        case sender([UInt8]?)
        /// One recipient; nil if it is too long.
        case recipient([UInt8]?)
        /// The package is whole.
        case end
    }

    private enum Phase {
        case package, textLength, lineEnds, text, textEnd, senderLength, sender, senderEnd
        case recipients, recipientLength, recipient, recipientEnd, end
    }

    let framing: Framing
    let limits: QMTPLimits
    private var phase: Phase
    private var length = NetstringLength()
    /// What is to come of the netstring being read.
    private var remaining = 0
    /// What is to come of the netstring around it, if there is one.
    private var outer: Int?
    private var address: [UInt8] = []
    private var isTooLong = false

    init(framing: Framing, limits: QMTPLimits) {
        self.framing = framing
        self.limits = limits
        phase = framing == .qmtp ? .textLength : .package
    }

    /// Whether nothing of a package has come.
    private(set) var isAtStart = true

    /// Tells the next event in `bytes` from `at` on, and moves `at` behind it.
    mutating func next(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) throws(QMTPViolation) -> Event {
        while true {
            if let event = try advance(bytes, &at) { return event }
            if at == bytes.count, needsByte { return .needBytes }
        }
    }

    /// Whether the phase cannot end without another byte.
    private var needsByte: Bool {
        switch phase {
        case .text, .sender, .recipient: remaining > 0
        case .recipientLength: outer != 0
        default: true
        }
    }

    /// One step; nil to go on, or for want of bytes.
    private mutating func advance(
        _ bytes: UnsafeRawBufferPointer, _ at: inout Int
    ) throws(QMTPViolation) -> Event? {
        switch phase {
        case .package, .recipients, .textLength, .senderLength:
            return try readLength(bytes, &at)
        case .lineEnds:
            return try readLineEnds(bytes, &at)
        case .text:
            return readText(bytes, &at)
        case .sender, .recipient:
            return readAddress(bytes, &at)
        case .textEnd:
            return try readComma(bytes, &at, then: .senderLength) ? .textEnded : nil
        case .senderEnd:
            let next: Phase = framing == .qmtp ? .recipients : .recipientLength
            return try readComma(bytes, &at, then: next) ? .sender(takeAddress()) : nil
        case .recipientEnd:
            return try readComma(bytes, &at, then: .recipientLength) ? .recipient(takeAddress()) : nil
        case .recipientLength:
            if outer == 0 {
                outer = nil
                phase = .end
                return nil
            }
            return try readLength(bytes, &at)
        case .end:
            guard try readComma(bytes, &at, then: framing == .qmtp ? .textLength : .package) else { return nil }
            isAtStart = true
            return .end
        }
    }

    private mutating func readLength(
        _ bytes: UnsafeRawBufferPointer, _ at: inout Int
    ) throws(QMTPViolation) -> Event? {
        while let byte = try takeByte(bytes, &at) {
            isAtStart = false
            guard let found = try length.take(byte, max: lengthMax) else { continue }
            if let outer, found >= outer { throw QMTPViolation("a netstring that is longer than the one around it") }
            return try begin(found)
        }
        return nil
    }

    private var lengthMax: Int {
        switch phase {
        case .package: limits.packageBytesMax
        case .textLength: limits.discardedBytesMax
        case .recipients: limits.recipientBytesMax
        // An address may be read past, but not for ever.
        default: limits.recipientBytesMax
        }
    }

    /// The length of what comes next is known.
    private mutating func begin(_ found: Int) throws(QMTPViolation) -> Event? {
        remaining = found
        switch phase {
        case .package:
            outer = found
            phase = .textLength
        case .textLength where framing == .qmtp:
            guard found > 0 else { throw QMTPViolation("a message that does not tell its line ends") }
            phase = .lineEnds
        case .textLength:
            phase = .text
            return .textStarts(byteCount: found, .lf)
        case .senderLength:
            phase = .sender
        case .recipients:
            outer = found
            phase = .recipientLength
        default:
            phase = .recipient
        }
        return nil
    }

    private mutating func readLineEnds(
        _ bytes: UnsafeRawBufferPointer, _ at: inout Int
    ) throws(QMTPViolation) -> Event? {
        guard let byte = try takeByte(bytes, &at) else { return nil }
        guard byte == Byte.lf || byte == Byte.cr else { throw QMTPViolation("line ends of no known kind") }
        remaining -= 1
        phase = .text
        return .textStarts(byteCount: remaining, byte == Byte.lf ? .lf : .crlf)
    }

    private mutating func readText(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Event? {
        let count = min(remaining, bytes.count - at)
        let start = at
        skip(count, &at)
        if remaining == 0 { phase = .textEnd }
        return count == 0 ? nil : .text(start..<at)
    }

    private mutating func readAddress(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Event? {
        let count = min(remaining, bytes.count - at)
        if address.count + count > limits.addressBytesMax { isTooLong = true }
        if !isTooLong { address.append(contentsOf: bytes[at..<(at + count)]) }
        skip(count, &at)
        if remaining == 0 { phase = phase == .sender ? .senderEnd : .recipientEnd }
        return nil
    }

    private mutating func skip(_ count: Int, _ at: inout Int) {
        at += count
        remaining -= count
        outer? -= count
    }

    private mutating func takeAddress() -> [UInt8]? {
        defer {
            address = []
            isTooLong = false
        }
        return isTooLong ? nil : address
    }

    private mutating func readComma(
        _ bytes: UnsafeRawBufferPointer, _ at: inout Int, then next: Phase
    ) throws(QMTPViolation) -> Bool {
        guard let byte = try takeByte(bytes, &at) else { return false }
        guard byte == Byte.comma else { throw QMTPViolation("a netstring without its comma") }
        phase = next
        return true
    }

    private mutating func takeByte(
        _ bytes: UnsafeRawBufferPointer, _ at: inout Int
    ) throws(QMTPViolation) -> UInt8? {
        if outer == 0 { throw QMTPViolation("a netstring that sticks out of the one around it") }
        guard at < bytes.count else { return nil }
        outer? -= 1
        at += 1
        return bytes[at - 1]
    }
}
