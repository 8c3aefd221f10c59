import Mail

/// The parameters of MAIL and RCPT (RFC 5321 §4.1.1.11).
extension SMTPServerSession {
    /// Why a line with parameters is refused.
    struct Refusal: Error {
        let reply: SMTPReply
    }

    /// RFC 1870, RFC 6152, RFC 6531 §3.4, RFC 4954 §5, and the cluster's own.
    func mailParameters(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Result<MailParameters, Refusal> {
        var parameters = MailParameters()
        var seen: Set<String> = []
        var reader = ParameterReader(bytes, from: start)
        while true {
            switch reader.next() {
            case .end:
                return .success(parameters)
            case .malformed:
                return .failure(Refusal(reply: .badParameter))
            case .parameter(let parameter):
                guard seen.insert(String(decoding: parameter.keyword, as: UTF8.self).uppercased()).inserted else {
                    return .failure(Refusal(reply: .repeatedParameter))
                }
                if let reply = read(parameter, into: &parameters) { return .failure(Refusal(reply: reply)) }
            }
        }
    }

    /// The reply that refuses the parameter; nil if it was taken.
    private func read(_ parameter: ParameterReader.Parameter, into all: inout MailParameters) -> SMTPReply? {
        let keyword = parameter.keyword
        let isCluster = settings.service == .cluster
        if keyword.equals("SIZE") {
            all.size = parameter.value?.decimal
            return all.size == nil ? .badParameter : nil
        }
        if keyword.equals("BODY") { return readBody(parameter.value, into: &all) }
        if keyword.equals("SMTPUTF8") {
            all.utf8 = true
            return parameter.value == nil ? nil : .badParameter
        }
        if keyword.equals("AUTH"), !isCluster {
            // RFC 4954 §5: taken and not believed.
            return parameter.value.flatMap { XText.decode($0) } == nil ? .badParameter : nil
        }
        if keyword.equals("XNAME"), isCluster {
            all.name = parameter.value.flatMap { XText.decode($0) }.flatMap { MessageIdentity($0) }
            return all.name == nil ? .badParameter : nil
        }
        if keyword.equals("XREPEAT"), isCluster {
            all.isRepeat = true
            return parameter.value == nil ? nil : .badParameter
        }
        return .unknownParameter
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
