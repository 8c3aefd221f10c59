package import Mail

/// How a message came to us, as far as `Received:` tells it (RFC 5321 §4.4).
package struct SMTPTrace: Hashable, Sendable {
    /// What the client called itself in EHLO; not to be trusted.
    package var clientName: String
    package var peer: SMTPPeer
    /// The `with` keyword of RFC 3848 and RFC 6531 §4.3, such as "ESMTPSA".
    package var transmission: String

    package init(clientName: String, peer: SMTPPeer, transmission: String) {
        self.clientName = clientName
        self.peer = peer
        self.transmission = transmission
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
        bytes += "Received: from ".utf8
        append(trace.clientName, max: 255, orElse: "unknown", to: &bytes)
        appendOrigin(of: trace.peer, to: &bytes)
        if let tls = trace.peer.tls { appendComment(tls, to: &bytes) }
        bytes += "\r\n\tby ".utf8
        append(hostname, max: 255, orElse: "localhost", to: &bytes)
        bytes += " with ".utf8
        bytes += trace.transmission.utf8
        bytes += "\r\n\tid ".utf8
        append(identity.text, max: MessageIdentity.lengthMax, orElse: "unknown", to: &bytes)
        if let recipient, let path = forPath(recipient) {
            bytes += "\r\n\tfor ".utf8
            bytes += path.utf8
        }
        bytes += ";\r\n\t".utf8
        append(date: seconds, to: &bytes)
        bytes += "\r\n".utf8
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

    /// `Return-Path:` as the final delivery adds it (RFC 5321 §4.4), with its CRLF.
    ///
    /// One that the client's message has already stays below it: RFC 5321 §4.4 lets the final delivery take it away, but
    /// a message arrives byte for byte as it was sent, and a reader takes the topmost field.
    package static func returnPath(_ sender: ReversePath) -> [UInt8] {
        line("Return-Path: ", sender.description)
    }

    /// `Delivered-To:` with its CRLF; a message that holds it already is in a loop.
    package static func deliveredTo(_ address: EmailAddress) -> [UInt8] {
        line("Delivered-To: ", address.description)
    }

    private static func line(_ name: String, _ value: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(128)
        bytes += name.utf8
        let end = bytes.count + valueBytesMax
        for byte in value.utf8 where byte >= ASCII.space && byte != 0x7F && bytes.count < end { bytes.append(byte) }
        bytes.append(ASCII.cr)
        bytes.append(ASCII.lf)
        return bytes
    }

    /// RFC 5322 §2.1.1: a line has at most 998 octets.
    private static let valueBytesMax = 900

    /// `TCP-info` in its brackets: the name in DNS, if there is one, and the address; nothing for a Unix socket.
    private static func appendOrigin(of peer: SMTPPeer, to bytes: inout [UInt8]) {
        guard !peer.address.isEmpty else { return }
        bytes += " (".utf8
        if let name = peer.hostName {
            append(name, max: 255, orElse: "unknown", to: &bytes)
            bytes.append(ASCII.space)
        }
        bytes += (peer.address.utf8.contains(ASCII.colon) ? "[IPv6:" : "[").utf8
        append(peer.address, max: 64, orElse: "unknown", to: &bytes)
        bytes += "])".utf8
    }

    private static func appendComment(_ tls: SMTPTLS, to bytes: inout [UInt8]) {
        bytes += "\r\n\t(using ".utf8
        append(tls.version, max: 32, orElse: "TLS", to: &bytes)
        if !tls.cipher.isEmpty {
            bytes += " with cipher ".utf8
            append(tls.cipher, max: 64, orElse: "unknown", to: &bytes)
        }
        bytes += ")".utf8
    }

    /// Without a local part of blanks or brackets, which readers of `Received:` take badly.
    private static func forPath(_ address: EmailAddress) -> String? {
        let path = "<" + address.description + ">"
        return path.utf8.allSatisfy({ $0 > ASCII.space && $0 != 0x7F }) ? path : nil
    }

    /// Letters, digits and what host names, addresses and message names need; anything else becomes "?".
    private static func append(_ text: String, max: Int, orElse fallback: String, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes += (text.isEmpty ? fallback : text).utf8
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
