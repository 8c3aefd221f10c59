package import Mail

/// A delivery status notification, ready to be sent (RFC 3464): its envelope and its text.
package struct BounceMessage: Hashable, Sendable {
    /// Null, or `#@[]` if the notice goes to the postmaster.
    package let sender: ReversePath
    package let recipient: EmailAddress
    /// Header and body with CRLF line ends, without dot-stuffing; no line is longer than 998 octets.
    package let bytes: [UInt8]
    /// Whether it holds bytes above 127: the original that it returns is 8-bit (RFC 6152), or an address is.
    package let isEightBit: Bool
    /// Whether it has to be sent with SMTPUTF8: its recipient's address is not ASCII (RFC 6531).
    package let needsUTF8: Bool
}
