package import Mail

/// How a message came to us, as far as `Received:` tells it (RFC 5321 §4.4).
package final class SMTPTrace: Sendable {
    /// What the client called itself in EHLO; not to be trusted.
    package let clientName: String
    package let peer: SMTPPeer
    /// The `with` keyword of RFC 3848 and RFC 6531 §4.3, such as "ESMTPSA".
    package let transmission: String

    package init(clientName: String, peer: SMTPPeer, transmission: String) {
        self.clientName = clientName
        self.peer = peer
        self.transmission = transmission
    }
}

extension SMTPTrace: Equatable {
    package static func == (left: SMTPTrace, right: SMTPTrace) -> Bool {
        left === right
            || (left.clientName == right.clientName && left.peer == right.peer
                && left.transmission == right.transmission)
    }
}

/// Makes the header fields that mail servers add. Whatever a peer said is cleaned, so that it cannot add fields.
package enum TraceHeaders {
    /// `Received:` for a message that a host takes in (RFC 5321 §4.4), folded, with CRLF line ends.
    ///
    /// - Parameters:
    ///   - hostname: the host that takes the message.
    ///   - identity: the message's name.
    ///   - seconds: the time of arrival, since 1970 in UTC.
    ///   - recipient: told only where the message has one recipient, because others could see it.
    package static func received(
        _ trace: SMTPTrace, hostname: String, identity: MessageIdentity, seconds: Int64, recipient: EmailAddress? = nil
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512)
        bytes.append(utf8: "Received: from ")
        append(trace.clientName, max: 255, orElse: "unknown", to: &bytes)
        appendOrigin(of: trace.peer, to: &bytes)
        if let tls = trace.peer.tls { appendComment(tls, to: &bytes) }
        bytes.append(utf8: "\r\n\tby ")
        append(hostname, max: 255, orElse: "localhost", to: &bytes)
        bytes.append(utf8: " with ")
        bytes.append(utf8: trace.transmission)
        bytes.append(utf8: "\r\n\tid ")
        append(identity.text, max: MessageIdentity.lengthMax, orElse: "unknown", to: &bytes)
        if let recipient { append(for: recipient, to: &bytes) }
        bytes.append(utf8: ";\r\n\t")
        append(date: seconds, to: &bytes)
        bytes.append(utf8: "\r\n")
        return bytes
    }

    /// `Received:` for a transaction: names the recipient if there is just one.
    package static func received(
        _ envelope: SMTPEnvelope, hostname: String, identity: MessageIdentity, seconds: Int64
    ) -> [UInt8] {
        let only = envelope.recipients.count == 1 ? envelope.recipients.first?.address : nil
        return received(envelope.trace, hostname: hostname, identity: identity, seconds: seconds, recipient: only)
    }

    /// What stands between the fields put on top of a message and its first byte. A message whose first line begins
    /// with a blank has no header: that line would go on the last field of ours, as its continuation, so the header's
    /// end comes before it. The message itself stays as it is, byte for byte, but it is the text of the new one.
    package static func separator(_ findings: HeaderScanner.Findings) -> [UInt8] {
        findings.beginsWithBlank ? [ASCII.cr, ASCII.lf] : []
    }

    /// What the final delivery puts on top of a message, with LF line ends, as it lies on disk: `Return-Path:` (RFC 5321
    /// §4.4), and `Delivered-To:` if there is a recipient to name; a message that holds that already is in a loop.
    ///
    /// A `Return-Path:` that the client's message has already stays below it: RFC 5321 §4.4 lets the final delivery take it
    /// away, but a message arrives byte for byte as it was sent, and a reader takes the topmost field.
    package static func delivery(from sender: ReversePath, to recipient: EmailAddress?) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        append(field: "Return-Path: ", to: &bytes) { sender.append(to: &$0) }
        if let recipient { append(field: "Delivered-To: ", to: &bytes) { recipient.append(to: &$0) } }
        return bytes
    }

    private static func append(field name: String, to bytes: inout [UInt8], _ appendValue: (inout [UInt8]) -> Void) {
        bytes.append(utf8: name)
        let start = bytes.count
        appendValue(&bytes)
        if bytes.count - start > valueBytesMax || !bytes[start...].allSatisfy(isText) {
            let text = bytes[start...].filter(isText).prefix(valueBytesMax)
            bytes.replaceSubrange(start..., with: text)
        }
        bytes.append(ASCII.lf)
    }

    private static func isText(_ byte: UInt8) -> Bool { byte >= ASCII.space && byte != 0x7F }

    /// RFC 5322 §2.1.1: a line has at most 998 octets.
    private static let valueBytesMax = 900

    /// `TCP-info` in its brackets: the name in DNS, if there is one, and the address; nothing for a Unix socket.
    private static func appendOrigin(of peer: SMTPPeer, to bytes: inout [UInt8]) {
        guard !peer.address.isEmpty else { return }
        bytes.append(utf8: " (")
        if let name = peer.hostName {
            append(name, max: 255, orElse: "unknown", to: &bytes)
            bytes.append(ASCII.space)
        }
        bytes.append(utf8: peer.address.utf8.contains(ASCII.colon) ? "[IPv6:" : "[")
        append(peer.address, max: 64, orElse: "unknown", to: &bytes)
        bytes.append(utf8: "])")
    }

    private static func appendComment(_ tls: SMTPTLS, to bytes: inout [UInt8]) {
        bytes.append(utf8: "\r\n\t(using ")
        append(tls.version, max: 32, orElse: "TLS", to: &bytes)
        if !tls.cipher.isEmpty {
            bytes.append(utf8: " with cipher ")
            append(tls.cipher, max: 64, orElse: "unknown", to: &bytes)
        }
        bytes.append(utf8: ")")
    }

    /// Left out where the address has blanks or brackets of its own, which readers of `Received:` take badly.
    private static func append(for address: EmailAddress, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(utf8: "\r\n\tfor <")
        let first = bytes.count
        address.append(to: &bytes)
        guard bytes[first...].allSatisfy({ $0 > ASCII.space && $0 != 0x7F }) else {
            return bytes.removeLast(bytes.count - start)
        }
        bytes.append(ASCII.greater)
    }

    /// Letters, digits and what host names, addresses and message names need; anything else becomes "?".
    private static func append(_ text: String, max: Int, orElse fallback: String, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(utf8: text.isEmpty ? fallback : text)
        if bytes.count > start + max { bytes.removeLast(bytes.count - start - max) }
        for index in start..<bytes.count where !isHarmless(bytes[index]) { bytes[index] = 0x3F }
    }

    private static func isHarmless(_ byte: UInt8) -> Bool {
        switch byte {
        case ASCII.hyphen, ASCII.dot, ASCII.colon, ASCII.openBracket, ASCII.closeBracket, ASCII.equals, ASCII.plus,
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: ASCII.isLetterOrDigit(byte)
        }
    }
}
