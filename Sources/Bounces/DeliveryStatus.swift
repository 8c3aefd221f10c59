import Mail
import SMTP

/// The part for programs: one group of fields for the message, and one for each recipient (RFC 3464 §2.1).
struct DeliveryStatus {
    let reportingHost: String
    let failed: FailedMessage
    /// Whether it is the UTF-8 form of RFC 6533 §4.
    let isGlobal: Bool

    var part: BounceWriter.Part {
        var groups = [messageFields]
        groups += failed.recipients.filter { !$0.verdict.isAccepted }.map(recipientFields)
        let text = groups.map { $0.map { $0 + "\r\n" }.joined() }.joined(separator: "\r\n")
        let bytes = Array(text.utf8)
        let type = isGlobal ? "message/global-delivery-status" : "message/delivery-status"
        let encoding = bytes.contains { $0 >= 0x80 } ? "8bit" : "7bit"
        return BounceWriter.Part(
            fields: ["Content-Type: \(type)", "Content-Transfer-Encoding: \(encoding)"], body: bytes)
    }

    private var messageFields: [String] {
        var fields: [String] = []
        if let id = failed.envelopeID, !id.isEmpty {
            fields.append("Original-Envelope-Id: \(BounceText.ascii(id, max: 100))")
        }
        fields.append("Reporting-MTA: dns; \(BounceText.host(reportingHost))")
        fields.append("Arrival-Date: \(TraceHeaders.date(failed.arrival))")
        return fields
    }

    private func recipientFields(_ recipient: FailedRecipient) -> [String] {
        var fields: [String] = []
        if let original = originalRecipient(recipient.originalRecipient) {
            fields.append("Original-Recipient: \(original)")
        }
        fields.append("Final-Recipient: \(typed(recipient.address))")
        fields.append("Action: failed")
        switch recipient.verdict {
        case .accepted: break
        case .refused(let reason): fields += outcome(reason, class: 5, recipient)
        case .deferred(let reason): fields += outcome(reason, class: 4, recipient)
        }
        if let time = recipient.lastAttempt { fields.append("Last-Attempt-Date: \(TraceHeaders.date(time))") }
        return fields
    }

    /// RFC 3464 §2.3.6: only what a server has replied is an SMTP diagnostic.
    private func outcome(_ reason: Reason, class kind: Int, _ recipient: FailedRecipient) -> [String] {
        var fields = ["Status: \(Self.status(reason.status, class: kind))"]
        if let host = recipient.remoteHost { fields.append("Remote-MTA: dns; \(BounceText.host(host))") }
        let type = recipient.remoteHost == nil ? "x-hauberk" : "smtp"
        fields.append("Diagnostic-Code: \(type); \(clean(reason.description, max: BounceText.reasonBytesMax))")
        return fields
    }

    /// RFC 3463 §2; a status of another class than the verdict's is not believed. 4.4.7 is "delivery time expired".
    private static func status(_ text: String, class kind: Int) -> String {
        let numbers = text.split(separator: ".", omittingEmptySubsequences: false)
        let isStatus =
            numbers.count == 3 && numbers[0] == "\(kind)"
            && numbers.dropFirst().allSatisfy { number in
                (1...3).contains(number.utf8.count) && number.utf8.allSatisfy { (0x30...0x39).contains($0) }
            }
        if isStatus { return text }
        return kind == 4 ? "4.4.7" : "5.0.0"
    }

    /// RFC 6533 §3: an address that is not ASCII has the type "utf-8".
    private func typed(_ address: EmailAddress) -> String {
        let text = BounceText.utf8(address.description, max: BounceText.addressBytesMax)
        if address.isASCII { return "rfc822; \(text)" }
        return "utf-8; \(isGlobal ? text : BounceText.unicodeXText(text))"
    }

    /// `atom ";" text`, or nothing if it is none.
    private func originalRecipient(_ text: String?) -> String? {
        guard let text, let semicolon = text.utf8.firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let type = text.utf8[..<semicolon]
        let address = String(text[text.utf8.index(after: semicolon)...].drop { $0 == " " })
        let isAtom = type.allSatisfy { EmailAddress.isAtomByte($0) && $0 < 0x80 }
        guard (1...32).contains(type.count), isAtom, !address.isEmpty else { return nil }
        return "\(text[..<semicolon]); \(clean(address, max: BounceText.addressBytesMax))"
    }

    private func clean(_ text: String, max: Int) -> String {
        isGlobal ? BounceText.utf8(text, max: max) : BounceText.ascii(text, max: max)
    }
}
