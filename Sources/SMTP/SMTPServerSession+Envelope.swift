package import Mail
import SASL

/// MAIL and RCPT (RFC 5321 §4.1.1.2 and §4.1.1.3).
extension SMTPServerSession {
    mutating func mail(_ arguments: UnsafeRawBufferPointer) -> Action? {
        guard let hello else { return refuse(.helloFirst) }
        if envelope != nil { return refuse(.nestedMail) }
        if settings.requiresAuthentication, user == nil {
            return refuse(authenticationMissing)
        }
        guard let pathStart = Self.pathStart(arguments, after: "FROM:") else { return refuse(.badMail) }
        let rest = arguments.slice(pathStart..<arguments.count)
        guard let (path, length) = SMTPPath.parse(rest) else { return refuse(.badSenderAddress) }
        let parameters: MailParameters
        switch mailParameters(rest, from: length) {
        case .success(let read): parameters = read
        case .failure(let refusal): return refuse(refusal.reply)
        }
        if !parameters.utf8, rest[..<length].contains(where: { $0 >= 0x80 }) { return refuse(.needsUTF8) }
        if let size = parameters.size, size > limits.messageBytesMax { return refuse(.tooBig) }
        if takesCopies, parameters.name == nil { return refuse(.missingName) }
        if user?.site != nil, !parameters.content.comesFromSites { return refuse(.sitesSendCopies) }
        switch path {
        case .null: return begin(.null, parameters, hello)
        case .address(let address): return begin(.address(address), parameters, hello)
        case .postmaster: return refuse(.badSenderAddress)
        }
    }

    private mutating func begin(_ sender: ReversePath, _ parameters: MailParameters, _ hello: Hello) -> Action? {
        if !takesCopies {
            counts.transactions += 1
            if counts.transactions > limits.transactionsMax { return end(with: .tooManyMessages) }
        }
        lastTransaction += 1
        let trace = SMTPTrace(
            clientName: hello.name, peer: peer, transmission: transmission(hello, utf8: parameters.utf8))
        var envelope = SMTPEnvelope(id: SMTPTransactionID(lastTransaction), sender: sender, trace: trace)
        envelope.declaredBytes = parameters.size
        envelope.body = parameters.body
        envelope.utf8 = parameters.utf8
        envelope.name = parameters.name
        envelope.isRepeat = parameters.isRepeat
        envelope.isAlike = parameters.isAlike
        envelope.content = parameters.content
        envelope.sitePath = parameters.sitePath
        // A site that does not name itself would get back what it sends.
        if let site = user?.site { envelope.sitePath = (parameters.sitePath ?? .origin).adding(site) }
        envelope.user = user
        self.envelope = envelope
        return reply(.senderOK)
    }

    /// RFC 3848, RFC 6531 §4.3.
    private func transmission(_ hello: Hello, utf8: Bool) -> String {
        guard hello.isExtended else { return "SMTP" }
        let base = settings.service.isLMTP ? "LMTP" : utf8 ? "SMTP" : "ESMTP"
        return (utf8 ? "UTF8" : "") + base + (peer.tls == nil ? "" : "S") + (user == nil ? "" : "A")
    }

    mutating func recipient(_ arguments: UnsafeRawBufferPointer) -> Action? {
        // The envelope is looked at in its place: a copy would count references to all its parts.
        guard let isUTF8 = envelope?.utf8 else { return refuse(hello == nil ? .helloFirst : .mailFirst) }
        if hasChunks { return refuse(.chunksBegun) }
        guard let pathStart = Self.pathStart(arguments, after: "TO:") else { return refuse(.badRecipient) }
        let rest = arguments.slice(pathStart..<arguments.count)
        guard let (path, length) = SMTPPath.parse(rest) else { return refuse(.badRecipientAddress) }
        let parameters: RecipientParameters
        switch recipientParameters(rest, from: length) {
        case .success(let read): parameters = read
        case .failure(let refusal): return refuse(refusal.reply)
        }
        if !isUTF8, rest[..<length].contains(where: { $0 >= 0x80 }) { return refuse(.needsUTF8) }
        if let count = envelope?.recipients.count, count >= limits.recipientsMax { return put(off: .tooManyRecipients) }
        let address: EmailAddress
        switch path {
        case .null: return refuse(.badRecipientAddress)
        case .address(let given): address = given
        case .postmaster: address = EmailAddress(local: "postmaster", domain: settings.postmasterDomain)
        }
        if settings.service == .cluster {
            guard let mailbox = parameters.mailbox else { return refuse(.missingMailbox) }
            envelope?.recipients.append(
                SMTPRecipient(address: address, mailbox: mailbox, heldFor: parameters.heldFor))
            return reply(.recipientOK)
        }
        if takesCopies, parameters.mailbox == nil { return refuse(.missingMailbox) }
        guard let transaction = envelope?.id, let sender = envelope?.sender else { return refuse(.mailFirst) }
        recipientInQuestion = SMTPRecipient(address: address, mailbox: parameters.mailbox)
        phase = .awaitingRecipient
        return .resolveRecipient(
            SMTPRecipientQuery(
                transaction: transaction, address: address, sender: sender, user: user, mailbox: parameters.mailbox))
    }

    /// RFC 5321 §4.5.3.1.10: a recipient that cannot be taken now is no error of the client's, and must not cost it the
    /// recipients that were accepted; so the bound is far off.
    private mutating func put(off reply: SMTPReply) -> Action? {
        counts.deferredRecipients += 1
        if counts.deferredRecipients > limits.deferredRecipientsMax { return end(with: .tooManyDeferred) }
        replies.append(reply)
        return nil
    }

    /// Answers `resolveRecipient`.
    package mutating func recipientResolved(_ verdict: Verdict) {
        precondition(phase == .awaitingRecipient, "recipient in phase \(phase)")
        phase = .command
        guard let recipient = recipientInQuestion else { return }
        recipientInQuestion = nil
        let reply = SMTPReply(verdict, accepted: .recipientOK)
        switch verdict {
        case .accepted:
            envelope?.recipients.append(recipient)
            replies.append(reply)
        case .deferred:
            _ = put(off: reply)
        case .refused:
            counts.refusedRecipients += 1
            if counts.refusedRecipients > limits.refusedRecipientsMax {
                _ = end(with: .tooManyRefused)
            } else {
                replies.append(reply)
            }
        }
    }

    /// Where the path begins behind `FROM:` or `TO:`; blanks before it are taken, as old clients send them.
    private static func pathStart(_ arguments: UnsafeRawBufferPointer, after word: StaticString) -> Int? {
        guard arguments.matches(word, at: 0) else { return nil }
        var at = word.utf8CodeUnitCount
        while at < arguments.count, arguments[at] == ASCII.space { at += 1 }
        return at < arguments.count ? at : nil
    }
}
