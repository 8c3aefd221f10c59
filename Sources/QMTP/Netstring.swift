package import Mail

/// A string with its length in front: `5:hello,`. What QMTP and QMQP are made of.
package enum Netstring {
    package static func encode(_ content: some Collection<UInt8>) -> [UInt8] {
        head(content.count) + content + [Byte.comma]
    }

    /// What stands before `count` bytes of content; a comma follows them.
    package static func head(_ count: Int) -> [UInt8] { Array("\(count):".utf8) }
}

/// The length of a netstring as its digits come in. Bounded, and in its one form: no zeros in front, no signs.
struct NetstringLength: Sendable {
    private var value = 0
    private var digits = 0

    /// Takes the next byte.
    ///
    /// - Returns: the length at its colon; nil while it goes on.
    mutating func take(_ byte: UInt8, max: Int) throws(QMTPViolation) -> Int? {
        if byte == Byte.colon, digits > 0 {
            defer { self = NetstringLength() }
            return value
        }
        guard (Byte.zero...Byte.nine).contains(byte) else { throw QMTPViolation("a length that is no number") }
        if digits > 0, value == 0 { throw QMTPViolation("a length with a zero in front") }
        digits += 1
        let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
        let digit = Int(byte - Byte.zero)
        guard !overflow, tens <= max, digit <= max - tens else { throw QMTPViolation("a length above \(max)") }
        value = tens + digit
        return nil
    }
}

/// What the other side said is not QMTP or QMQP, or exceeds a limit; where it goes on cannot be known.
package struct QMTPViolation: Error, Hashable, Sendable {
    package let text: String

    init(_ text: String) { self.text = text }

    /// Temporary: a message that was not understood is not refused.
    package var reason: Reason { Reason(451, "4.5.0", "protocol violation: \(text)") }
}

enum Byte {
    static let lf = UInt8(ascii: "\n")
    static let cr = UInt8(ascii: "\r")
    static let comma = UInt8(ascii: ",")
    static let colon = UInt8(ascii: ":")
    static let zero = UInt8(ascii: "0")
    static let nine = UInt8(ascii: "9")
    static let at = UInt8(ascii: "@")
}
