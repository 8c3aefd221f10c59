import Mail
import SASL

/// The parameters of MAIL and RCPT (RFC 5321 §4.1.1.11).
extension SMTPServerSession {
    /// Why a line with parameters is refused.
    struct Refusal: Error {
        let reply: SMTPReply
    }

    /// The parameters of MAIL that some service takes.
    private enum Keyword: UInt8 {
        case size, body, utf8, auth, name, isRepeat, isAlike, content, path

        /// - Parameters:
        ///   - takesCopies: whether the client is a frontend, a storage node or another site.
        ///   - isInside: whether it is not another site.
        init?(_ bytes: UnsafeRawBufferPointer, takesCopies: Bool, isInside: Bool) {
            if bytes.equals("SIZE") {
                self = .size
            } else if bytes.equals("BODY") {
                self = .body
            } else if bytes.equals("SMTPUTF8") {
                self = .utf8
            } else if bytes.equals("AUTH"), !takesCopies {
                self = .auth
            } else if bytes.equals("XNAME"), takesCopies {
                self = .name
            } else if bytes.equals("XREPEAT"), takesCopies {
                self = .isRepeat
            } else if bytes.equals("XALIKE"), isInside {
                self = .isAlike
            } else if bytes.equals("XCONTENT"), takesCopies {
                self = .content
            } else if bytes.equals("XPATH"), takesCopies {
                self = .path
            } else {
                return nil
            }
        }
    }

    /// Whether the client gives messages names and mailboxes: the cluster's own processes, and other sites.
    var takesCopies: Bool { settings.service == .cluster || user?.site != nil }

    /// RFC 1870, RFC 6152, RFC 6531 §3.4, RFC 4954 §5, and the cluster's own.
    func mailParameters(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Result<MailParameters, Refusal> {
        var parameters = MailParameters()
        var seen: UInt16 = 0
        var reader = ParameterReader(bytes, from: start)
        while true {
            switch reader.next() {
            case .end:
                return .success(parameters)
            case .malformed:
                return .failure(Refusal(reply: .badParameter))
            case .parameter(let parameter):
                guard
                    let keyword = Keyword(
                        parameter.keyword, takesCopies: takesCopies, isInside: settings.service == .cluster)
                else {
                    return .failure(Refusal(reply: .unknownParameter))
                }
                let bit: UInt16 = 1 << keyword.rawValue
                if seen & bit != 0 { return .failure(Refusal(reply: .repeatedParameter)) }
                seen |= bit
                if let reply = read(keyword, parameter.value, into: &parameters) {
                    return .failure(Refusal(reply: reply))
                }
            }
        }
    }

    /// The reply that refuses the value; nil if it was taken.
    private func read(
        _ keyword: Keyword, _ value: UnsafeRawBufferPointer?, into all: inout MailParameters
    ) -> SMTPReply? {
        switch keyword {
        case .size:
            all.size = value?.decimal
            return all.size == nil ? .badParameter : nil
        case .body:
            return readBody(value, into: &all)
        case .utf8:
            all.utf8 = true
            return value == nil ? nil : .badParameter
        case .auth:
            // RFC 4954 §5: taken and not believed.
            return value.flatMap { XText.decode($0) } == nil ? .badParameter : nil
        case .name:
            all.name = value.flatMap { XText.decode($0) }.flatMap { MessageIdentity($0) }
            return all.name == nil ? .badParameter : nil
        case .isRepeat:
            all.isRepeat = true
            return value == nil ? nil : .badParameter
        case .isAlike:
            all.isAlike = true
            return value == nil ? nil : .badParameter
        case .content:
            guard let content = value.flatMap({ XText.decode($0) }).flatMap({ HopContent(rawValue: $0) }) else {
                return .badParameter
            }
            all.content = content
            return nil
        case .path:
            all.sitePath = value.flatMap { XText.decode($0) }.flatMap { SitePath($0) }
            return all.sitePath == nil ? .badParameter : nil
        }
    }

    private func readBody(_ value: UnsafeRawBufferPointer?, into all: inout MailParameters) -> SMTPReply? {
        guard let value else { return .badParameter }
        if value.equals("7BIT") {
            all.body = .sevenBit
        } else if value.equals("8BITMIME") {
            all.body = .eightBit
        } else {
            return value.equals("BINARYMIME") ? .noBinary : .unknownBody
        }
        return nil
    }

    /// The parameters of RCPT in the cluster's own service and from other sites: `XMAILBOX`, and in the cluster's own `XFOR`
    /// for a copy that is kept for another node.
    func recipientParameters(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Result<RecipientParameters, Refusal> {
        var parameters = RecipientParameters()
        var reader = ParameterReader(bytes, from: start)
        while true {
            switch reader.next() {
            case .end:
                return .success(parameters)
            case .malformed:
                return .failure(Refusal(reply: .badParameter))
            case .parameter(let parameter):
                if let reply = read(parameter.keyword, parameter.value, into: &parameters) {
                    return .failure(Refusal(reply: reply))
                }
            }
        }
    }

    private func read(
        _ keyword: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?, into all: inout RecipientParameters
    ) -> SMTPReply? {
        guard takesCopies else { return .unknownParameter }
        let text = value.flatMap { XText.decode($0) }
        if keyword.equals("XMAILBOX") {
            if all.mailbox != nil { return .repeatedParameter }
            all.mailbox = text.flatMap { MailboxName($0) }
            return all.mailbox == nil ? .badParameter : nil
        }
        if keyword.equals("XFOR"), settings.service == .cluster {
            if all.heldFor != nil { return .repeatedParameter }
            all.heldFor = text
            return text?.isEmpty ?? true ? .badParameter : nil
        }
        return .unknownParameter
    }
}
