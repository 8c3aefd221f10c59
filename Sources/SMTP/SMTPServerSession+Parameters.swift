import Mail

/// The parameters of MAIL and RCPT (RFC 5321 §4.1.1.11).
extension SMTPServerSession {
    /// Why a line with parameters is refused.
    struct Refusal: Error {
        let reply: SMTPReply
    }

    /// The parameters of MAIL that some service takes.
    private enum Keyword: UInt8 {
        case size, body, utf8, auth, name, isRepeat

        init?(_ bytes: UnsafeRawBufferPointer, isCluster: Bool) {
            if bytes.equals("SIZE") {
                self = .size
            } else if bytes.equals("BODY") {
                self = .body
            } else if bytes.equals("SMTPUTF8") {
                self = .utf8
            } else if bytes.equals("AUTH"), !isCluster {
                self = .auth
            } else if bytes.equals("XNAME"), isCluster {
                self = .name
            } else if bytes.equals("XREPEAT"), isCluster {
                self = .isRepeat
            } else {
                return nil
            }
        }
    }

    /// RFC 1870, RFC 6152, RFC 6531 §3.4, RFC 4954 §5, and the cluster's own.
    func mailParameters(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Result<MailParameters, Refusal> {
        var parameters = MailParameters()
        var seen: UInt8 = 0
        var reader = ParameterReader(bytes, from: start)
        while true {
            switch reader.next() {
            case .end:
                return .success(parameters)
            case .malformed:
                return .failure(Refusal(reply: .badParameter))
            case .parameter(let parameter):
                guard let keyword = Keyword(parameter.keyword, isCluster: settings.service == .cluster) else {
                    return .failure(Refusal(reply: .unknownParameter))
                }
                let bit: UInt8 = 1 << keyword.rawValue
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

    /// RCPT has one parameter, in the cluster's own service: `XMAILBOX`.
    func recipientParameters(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Result<MailboxName?, Refusal> {
        var mailbox: MailboxName?
        var reader = ParameterReader(bytes, from: start)
        while true {
            switch reader.next() {
            case .end:
                return .success(mailbox)
            case .malformed:
                return .failure(Refusal(reply: .badParameter))
            case .parameter(let parameter):
                guard settings.service == .cluster, parameter.keyword.equals("XMAILBOX") else {
                    return .failure(Refusal(reply: .unknownParameter))
                }
                if mailbox != nil { return .failure(Refusal(reply: .repeatedParameter)) }
                mailbox = parameter.value.flatMap { XText.decode($0) }.flatMap { MailboxName($0) }
                if mailbox == nil { return .failure(Refusal(reply: .badParameter)) }
            }
        }
    }
}
