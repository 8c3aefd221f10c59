import Mail
import SMTP

/// Writes the parts of a notice together (RFC 6522 §3, RFC 3464 §2).
///
/// Towards an ASCII address everything but a whole 8-bit original is 7-bit, so that any server takes it. Towards an
/// address that is not ASCII the types of RFC 6533 are used, because the notice needs SMTPUTF8 anyway.
struct BounceWriter {
    let plan: BouncePlan
    let failed: FailedMessage
    let messageID: String
    let now: Int64

    /// One part of the multipart: its type and encoding, and its body.
    struct Part {
        var fields: [String]
        var body: [UInt8]
    }

    func message(from sender: ReversePath, to recipient: EmailAddress) -> BounceMessage {
        let isGlobal = !recipient.isASCII
        let returned = ReturnedContent(failed, plan: plan, isGlobal: isGlobal)
        var parts = [
            explanation(toSender: sender == .null),
            DeliveryStatus(reportingHost: plan.reportingHost, failed: failed, isGlobal: isGlobal).part,
        ]
        if let part = returned.part(isGlobal: isGlobal) { parts.append(part) }
        let isEightBit = parts.contains { $0.body.contains { $0 >= 0x80 } }
        let boundary = MIMEBoundary.absent(from: parts.map(\.body))
        var bytes = header(to: recipient, about: returned, boundary: boundary, isEightBit: isEightBit)
        for part in parts {
            bytes += "--\(boundary)\r\n".utf8
            for field in part.fields { bytes += "\(field)\r\n".utf8 }
            bytes += "\r\n".utf8
            bytes += part.body
            bytes += "\r\n".utf8
        }
        bytes += "--\(boundary)--\r\n".utf8
        return BounceMessage(
            sender: sender, recipient: recipient, bytes: bytes, isEightBit: isEightBit || isGlobal,
            needsUTF8: isGlobal)
    }

    private func header(
        to recipient: EmailAddress, about returned: ReturnedContent, boundary: String, isEightBit: Bool
    ) -> [UInt8] {
        var lines = [
            "From: Mail Delivery System <MAILER-DAEMON@\(BounceText.host(plan.reportingHost))>",
            "To: <\(BounceText.utf8(recipient.description, max: BounceText.addressBytesMax))>",
            "Subject: Undeliverable mail",
            "Date: \(TraceHeaders.date(now))",
            "Message-ID: <\(BounceText.token(messageID))>",
        ]
        if let original = returned.messageID {
            lines += ["In-Reply-To: \(original)", "References: \(original)"]
        }
        lines += [
            "Auto-Submitted: auto-replied",  // RFC 3834 §5
            "MIME-Version: 1.0",
            "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"\(boundary)\"",
        ]
        if isEightBit { lines.append("Content-Transfer-Encoding: 8bit") }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    /// The part for people (RFC 6522 §3).
    private func explanation(toSender: Bool) -> Part {
        let host = BounceText.host(plan.reportingHost)
        var text = "This is the mail system at \(host).\r\n\r\n"
        text +=
            toSender
            ? "Your message of \(TraceHeaders.date(failed.arrival))\r\n"
            : "A notice of failed delivery, which has no sender, came at \(TraceHeaders.date(failed.arrival))\r\n"
        text += "could not be delivered as below. It will not be tried again.\r\n"
        for recipient in failed.recipients where !recipient.verdict.isAccepted { text += "\r\n" + Self.line(recipient) }
        let bytes = Array(text.utf8)
        let isASCII = bytes.allSatisfy { $0 < 0x80 }
        let fields = [
            "Content-Type: text/plain; charset=\(isASCII ? "us-ascii" : "utf-8")",
            "Content-Transfer-Encoding: \(isASCII ? "7bit" : "quoted-printable")",
        ]
        return Part(fields: fields, body: isASCII ? bytes : QuotedPrintable.encode(bytes))
    }

    private static func line(_ recipient: FailedRecipient) -> String {
        let address = BounceText.utf8(recipient.address.description, max: BounceText.addressBytesMax)
        var text = "<\(address)>\r\n"
        let said = recipient.remoteHost.map { "\(BounceText.host($0)) said: " } ?? ""
        switch recipient.verdict {
        case .accepted: break
        case .refused(let reason): text += "    \(said)\(show(reason))\r\n"
        case .deferred(let reason):
            text += "    It could not be delivered in the time that is allowed. The last failure:\r\n"
            text += "    \(said)\(show(reason))\r\n"
        }
        return text
    }

    private static func show(_ reason: Reason) -> String {
        BounceText.utf8(reason.description, max: BounceText.reasonBytesMax)
    }
}
