package import Mail

/// The envelope of a message that waits to be sent on, as it stands above its text: `Return-Path: <sender>` in the first
/// line and `Delivered-To: recipient` in the second.
package struct QueuedEnvelope: Hashable, Sendable {
    package let sender: ReversePath
    package let recipient: EmailAddress
    /// Octets of the two lines.
    package let byteCount: Int

    /// Nil if `head`, the beginning of the message with either kind of line ends, does not start with these two lines.
    package init?(_ head: [UInt8]) {
        var rest = head[...]
        guard let sender = Self.field("Return-Path: ", &rest), let path = Self.path(sender),
            let recipient = Self.field("Delivered-To: ", &rest),
            case .address(let address)? = Self.path([ASCII.less] + recipient + [ASCII.greater])
        else { return nil }
        self.sender = path
        self.recipient = address
        byteCount = rest.startIndex
    }

    /// Whether it cannot be told to a server without SMTPUTF8 (RFC 6531).
    package var needsUTF8: Bool { !sender.isASCII || !recipient.isASCII }

    private static func field(_ name: String, _ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard rest.starts(with: name.utf8), let end = rest.firstIndex(of: ASCII.lf) else { return nil }
        var value = rest[..<end].dropFirst(name.utf8.count)
        if value.last == ASCII.cr { value.removeLast() }
        rest = rest[(end + 1)...]
        return Array(value)
    }

    private static func path(_ text: [UInt8]) -> ReversePath? {
        text.withUnsafeBytes { bytes in
            guard let (path, length) = SMTPPath.parse(bytes), length == bytes.count else { return nil }
            return switch path {
            case .null: .null
            case .address(let address): .address(address)
            case .postmaster: nil
            }
        }
    }
}
