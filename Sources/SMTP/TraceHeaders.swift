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
        var text = "Received: from \(clean(trace.clientName, max: 255, orElse: "unknown"))"
        if let from = origin(trace.peer) { text += " (\(from))" }
        if let tls = trace.peer.tls { text += "\r\n\t(using \(comment(tls)))" }
        text += "\r\n\tby \(clean(hostname, max: 255, orElse: "localhost")) with \(trace.transmission)"
        text += "\r\n\tid \(clean(identity.text, max: MessageIdentity.lengthMax, orElse: "unknown"))"
        if let recipient, let path = forPath(recipient) { text += "\r\n\tfor \(path)" }
        text += ";\r\n\t\(date(seconds))\r\n"
        return Array(text.utf8)
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
        var bytes = Array(name.utf8)
        bytes.append(contentsOf: value.utf8.lazy.filter { $0 >= ASCII.space && $0 != 0x7F }.prefix(900))
        bytes.append(ASCII.cr)
        bytes.append(ASCII.lf)
        return bytes
    }

    /// `TCP-info`: the name in DNS, if there is one, and the address; nothing for a Unix socket.
    private static func origin(_ peer: SMTPPeer) -> String? {
        guard !peer.address.isEmpty else { return nil }
        let address = clean(peer.address, max: 64, orElse: "unknown")
        let literal = address.contains(":") ? "[IPv6:\(address)]" : "[\(address)]"
        guard let name = peer.hostName else { return literal }
        return "\(clean(name, max: 255, orElse: "unknown")) \(literal)"
    }

    private static func comment(_ tls: SMTPTLS) -> String {
        var text = clean(tls.version, max: 32, orElse: "TLS")
        if !tls.cipher.isEmpty { text += " with cipher \(clean(tls.cipher, max: 64, orElse: "unknown"))" }
        return text
    }

    /// Without a local part of blanks or brackets, which readers of `Received:` take badly.
    private static func forPath(_ address: EmailAddress) -> String? {
        let path = "<\(address)>"
        return path.utf8.allSatisfy({ $0 > ASCII.space && $0 != 0x7F }) ? path : nil
    }

    /// Letters, digits and what host names, addresses and message names need; anything else becomes "?".
    private static func clean(_ text: String, max: Int, orElse fallback: String) -> String {
        let bytes = text.utf8.prefix(max).map { isHarmless($0) ? $0 : 0x3F }
        return bytes.isEmpty ? fallback : String(decoding: bytes, as: UTF8.self)
    }

    private static func isHarmless(_ byte: UInt8) -> Bool {
        ASCII.isLetterOrDigit(byte) || "-._:[]=+~".utf8.contains(byte)
    }
}
