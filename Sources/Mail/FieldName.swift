/// The name of a header field while it comes in, byte by byte: letters in lower case, without blanks (RFC 5322 §2.2).
///
/// Names that are too long for it are all the same, and none of those that matter here.
package struct FieldName: Hashable, Sendable {
    private var high: UInt64 = 0
    private var low: UInt64 = 0
    private var count = 0

    /// How many bytes are told apart.
    private static let countMax = 16

    package static let received = FieldName("received")
    package static let deliveredTo = FieldName("delivered-to")
    package static let messageID = FieldName("message-id")

    package init() {}

    private init(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { append(text.utf8Start[index]) }
    }

    /// Whether a name that begins so can be one of those that matter: most need no further look.
    package static func mayMatter(_ first: UInt8) -> Bool {
        switch first | 0x20 {
        case UInt8(ascii: "d"), UInt8(ascii: "m"), UInt8(ascii: "r"): true
        default: false
        }
    }

    package var isTooLong: Bool { count > Self.countMax }

    package mutating func append(_ byte: UInt8) {
        guard !isTooLong, byte != UInt8(ascii: " "), byte != UInt8(ascii: "\t") else { return }
        count += 1
        high = high << 8 | low >> 56
        low = low << 8 | UInt64(byte | 0x20)
    }
}
