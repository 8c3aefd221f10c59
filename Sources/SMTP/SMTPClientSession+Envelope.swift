package import Mail

/// MAIL and RCPT as a client writes them.
extension SMTPClientSession {
    /// Why a transaction cannot be sent to this server at all; nil if it can.
    func unsendable(_ outgoing: Outgoing) -> Verdict? {
        let transaction = outgoing.transaction
        if outgoing.isStreaming, !usesChunks {
            return .deferred(Reason(451, "4.3.0", "server does not offer CHUNKING"))
        }
        if usesChunks, !outgoing.isStreaming, transaction.byteCount == nil { return .deferred(.unexpected) }
        if transaction.name != nil, !capabilities.takesNames {
            return .deferred(Reason(451, "4.3.0", "server is no storage node, and takes no copies from other sites"))
        }
        if transaction.content.isQuestion, !capabilities.isStorageNode, !capabilities.answersSites {
            return .refused(.answersNothing)
        }
        if let size = transaction.byteCount, let most = capabilities.messageBytesMax,
            size - headroom(of: transaction) > most
        {
            return .refused(Reason(552, "5.3.4", "message is too big for the next server"))
        }
        if transaction.holdsAddress(where: Self.holdsControl) {
            return .refused(Reason(553, "5.1.3", "an address cannot be written in SMTP"))
        }
        if !capabilities.utf8, transaction.utf8 || transaction.holdsAddress(where: { !$0.isASCII }) {
            return .refused(Reason(553, "5.6.7", "the next server takes no SMTPUTF8"))
        }
        return nil
    }

    /// What another site takes above the bound that it tells its clients.
    private func headroom(of transaction: SMTPClientTransaction) -> Int {
        capabilities.isSite && transaction.content.comesFromSites ? SMTPLimits.traceBytesMax : 0
    }

    private static func holdsControl(_ address: EmailAddress) -> Bool {
        holdsControl(address.local) || holdsControl(address.domain)
    }

    private static func holdsControl(_ text: String) -> Bool { !text.hasOnly { $0 >= 0x20 && $0 != 0x7F } }

    mutating func sendMail(_ transaction: SMTPClientTransaction) {
        output.reserveCapacity(output.count + 512)
        append("MAIL FROM:")
        transaction.sender.append(to: &output)
        if let size = transaction.byteCount, capabilities.messageBytesMax != nil {
            append(" SIZE=")
            output.append(decimal: size)
        }
        if transaction.eightBit, capabilities.eightBit { append(" BODY=8BITMIME") }
        if transaction.utf8 { append(" SMTPUTF8") }
        if let name = transaction.name {
            append(" XNAME=")
            XText.encode(name.text, into: &output)
            if transaction.isRepeat { append(" XREPEAT") }
            if transaction.isAlike { append(" XALIKE") }
            if transaction.content != .message {
                append(" XCONTENT=")
                output.append(utf8: transaction.content.rawValue)
            }
            if let path = transaction.sitePath {
                append(" XPATH=")
                output.append(utf8: path.text)
            }
        }
        append("\r\n")
    }

    mutating func sendRecipient(_ recipient: SMTPRecipient) {
        append("RCPT TO:<")
        recipient.address.append(to: &output)
        append(">")
        if let mailbox = recipient.mailbox, capabilities.takesNames {
            append(" XMAILBOX=")
            XText.encode(mailbox.description, into: &output)
            if let owner = recipient.heldFor {
                append(" XFOR=")
                XText.encode(owner, into: &output)
            }
        }
        append("\r\n")
    }

    mutating func append(_ fixed: StaticString) {
        output.append(contentsOf: UnsafeBufferPointer(start: fixed.utf8Start, count: fixed.utf8CodeUnitCount))
    }
}

extension Reason {
    /// The site is of a version that cannot be asked what it has.
    package static let answersNothing = Reason(504, "5.5.4", "the site answers no questions")
}

extension SMTPClientTransaction {
    /// Whether its sender's or a recipient's address is such a one.
    fileprivate func holdsAddress(where isSuch: (EmailAddress) -> Bool) -> Bool {
        if case .address(let sender) = sender, isSuch(sender) { return true }
        return recipients.contains { isSuch($0.address) }
    }
}
