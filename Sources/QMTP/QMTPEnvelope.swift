package import Mail

/// What a QMTP or QMQP client said of a message, known when its text has come already.
package struct QMTPEnvelope: Hashable, Sendable {
    package var sender: ReversePath
    /// Those that can be mail addresses at all, in their order.
    package var recipients: [EmailAddress]
    /// Octets of the text with CRLF line ends.
    package var byteCount: Int
    /// Whether its last line has no end.
    package var endsInsideLine: Bool
}

/// Addresses as QMTP has them: octets, without the quotes of SMTP, split at the last "@".
enum QMTPAddress {
    /// Nil if it cannot be a mail address.
    static func parse(_ bytes: [UInt8]) -> EmailAddress? {
        guard let at = bytes.lastIndex(of: Byte.at), at > 0, at + 1 < bytes.count,
            !bytes.contains(where: { $0 < 0x20 || $0 == 0x7F }),
            !bytes[at...].contains(UInt8(ascii: " ")),
            let local = String(validating: bytes[..<at], as: UTF8.self),
            let domain = String(validating: bytes[(at + 1)...], as: UTF8.self)
        else { return nil }
        return EmailAddress(local: local, domain: domain)
    }

    /// Nobody is nobody; nil if it cannot be a mail address.
    static func parseSender(_ bytes: [UInt8]) -> ReversePath? {
        bytes.isEmpty ? .null : parse(bytes).map { .address($0) }
    }
}
