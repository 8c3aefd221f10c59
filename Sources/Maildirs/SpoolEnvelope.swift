/// The envelope of a message that waits in a Maildir, as qmail-local writes it: `Return-Path: <sender>` in the first line,
/// `Delivered-To: recipient` in the second.
package struct SpoolEnvelope: Hashable, Sendable {
    /// What stands between the angle brackets.
    package let sender: [UInt8]
    /// What stands behind `Delivered-To: `; it may begin with a prefix.
    package let deliveredTo: [UInt8]
    /// Octets of the two lines.
    package let byteCount: Int

    /// Octets of one such line.
    static let lineBytesMax = 8 << 10

    /// Nil if `head`, the beginning of a file, does not start with these two lines.
    init?(_ head: [UInt8]) {
        let lf = UInt8(ascii: "\n")
        guard let first = head.firstIndex(of: lf), let second = head[(first + 1)...].firstIndex(of: lf),
            head.starts(with: Self.returnPath), first > Self.returnPath.count, head[first - 1] == UInt8(ascii: ">"),
            head[(first + 1)...].starts(with: Self.deliveredTo)
        else { return nil }
        sender = Array(head[Self.returnPath.count..<(first - 1)])
        deliveredTo = Array(head[(first + 1 + Self.deliveredTo.count)..<second])
        byteCount = second + 1
        if sender.contains(0) || deliveredTo.contains(0) { return nil }
    }

    private static let returnPath = Array("Return-Path: <".utf8)
    private static let deliveredTo = Array("Delivered-To: ".utf8)

    /// The recipient without the prefix; nil if it does not begin with it.
    package func recipient(without prefix: [UInt8]) -> [UInt8]? {
        deliveredTo.starts(with: prefix) ? Array(deliveredTo[prefix.count...]) : nil
    }

    /// The two lines for a message that is to wait in a Maildir.
    package static func lines(sender: [UInt8], deliveredTo: [UInt8]) -> [UInt8] {
        returnPath + sender + Array(">\n".utf8) + Self.deliveredTo + deliveredTo + [UInt8(ascii: "\n")]
    }
}
