import Mail
import SASL

/// The commands that are no part of a mail transaction (RFC 5321 §4.1.1).
extension SMTPServerSession {
    /// Does one command.
    ///
    /// - Parameters:
    ///   - hasMore: whether bytes had come behind the line, which some commands forbid (RFC 2920 §3.1).
    ///   - consumed: set to `all` where those bytes are thrown away.
    mutating func handle(
        _ wholeLine: UnsafeRawBufferPointer, hasMore: Bool, consumed: inout Int, all: Int
    ) -> Action? {
        // RFC 5321 §4.1.1: blanks before the CRLF are taken.
        var length = wholeLine.count
        while length > 0, ASCII.isBlank(wholeLine[length - 1]) { length -= 1 }
        let line = wholeLine.slice(0..<length)
        let (verb, start) = SMTPVerb.parse(line)
        guard let verb else { return refuse(.unknownCommand) }
        let arguments = line.slice(start..<line.count)
        if verb.takesNothing, !arguments.isEmpty { return refuse(.noParameters) }
        if verb.isIdle, tooManyIdleCommands() { return end(with: .tooManyCommands) }
        switch verb {
        case .ehlo, .helo, .lhlo: return greet(verb, arguments, hasMore: hasMore)
        case .mail: return mail(arguments)
        case .rcpt: return recipient(arguments)
        case .data: return data(hasMore: hasMore)
        case .bdat: return chunk(arguments)
        case .rset: return reset()
        case .noop: return reply(.ok)
        case .vrfy: return arguments.isEmpty ? refuse(.badParameter) : reply(.cannotVerify)
        case .expn: return refuse(.notOffered)
        case .help: return reply(.help)
        case .quit:
            hasQuit = true
            return end(with: .goodBye)
        case .auth: return authenticate(arguments, hasMore: hasMore)
        case .etrn: return startQueue(arguments)
        case .atrn:
            if hasMore, takesATRN {
                // What was sent to the server must not be taken for what the client says as a server.
                consumed = all
                return end(with: .badPipelining)
            }
            return askTurn(arguments)
        case .http: return end(with: .otherProtocol)
        case .startTLS:
            if hasMore {
                // CVE-2011-0411: what was sent in plain must not be taken for what was sent under TLS.
                consumed = all
                return end(with: .badPipelining)
            }
            return startTLS()
        }
    }

    mutating func reply(_ reply: SMTPReply) -> Action? {
        replies.append(reply)
        return nil
    }

    /// Answers a command that was wrong; too many of them end the conversation.
    mutating func refuse(_ reply: SMTPReply) -> Action? {
        counts.errors += 1
        if counts.errors > limits.errorsMax { return end(with: .tooManyErrors) }
        replies.append(reply)
        return nil
    }

    /// Says a last reply; the connection is closed when all replies before it are out.
    mutating func end(with reply: SMTPReply) -> Action {
        if !isClosing { replies.append(reply) }
        isClosing = true
        return replies.isSettled ? .close : .waitForStorage
    }

    mutating func tooManyIdleCommands() -> Bool {
        counts.idleCommands += 1
        return !takesCopies && counts.idleCommands > limits.commandsWithoutMailMax
    }

    /// RFC 5321 §4.1.1.1, RFC 2033 §4.1.
    private mutating func greet(_ verb: SMTPVerb, _ name: UnsafeRawBufferPointer, hasMore: Bool) -> Action? {
        if settings.service.isLMTP, verb != .lhlo { return refuse(.lmtpOnly) }
        if !settings.service.isLMTP, verb == .lhlo { return refuse(.smtpOnly) }
        guard (1...255).contains(name.count), name.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return refuse(.badHello)
        }
        if hasMore, verb != .helo, !settings.clientMayPipelineEarly { return end(with: .badPipelining) }
        // RFC 5321 §4.1.4: a second EHLO is a RSET too.
        let action = forgetTransaction()
        hello = Hello(isExtended: verb != .helo, name: String(decoding: name, as: UTF8.self))
        replies.append(verb == .helo ? SMTPReply(250, "", settings.hostname) : SMTPReply(250, "", lines: extensions))
        return action
    }

    private var extensions: [String] {
        var lines = [settings.hostname, "PIPELINING", "SIZE \(limits.messageBytesMax)", "8BITMIME", "SMTPUTF8"]
        lines += ["CHUNKING", "ENHANCEDSTATUSCODES"]
        if settings.service == .cluster { return lines + ["XHAUBERK"] }
        if settings.offersStartTLS, peer.tls == nil { lines.append("STARTTLS") }
        if offersAuthentication, user == nil {
            lines.append("AUTH " + settings.mechanisms.map(\.rawValue).joined(separator: " "))
        }
        if settings.takesSites { lines.append("XSITE DIGEST OFFER") }
        if settings.offersETRN { lines.append("ETRN") }
        if showsATRN { lines.append("ATRN") }
        // RFC 9422 §4
        lines.append("LIMITS RCPTMAX=\(limits.recipientsMax) MAILMAX=\(limits.transactionsMax)")
        return lines
    }

    /// RFC 4954 §4: what a plain connection must not carry is not offered there.
    var offersAuthentication: Bool {
        !settings.mechanisms.isEmpty && (peer.tls != nil || !settings.requiresTLSForAuthentication)
    }

    private mutating func reset() -> Action? {
        replies.append(SMTPReply.ok)
        return forgetTransaction()
    }

    /// Ends the transaction; the driver hears of it if it had begun to write.
    mutating func forgetTransaction() -> Action? {
        envelope = nil
        hasChunks = false
        recipientInQuestion = nil
        defer { message.isOpen = false }
        return message.isOpen ? .abandonMessage : nil
    }

    /// RFC 3207 §4.
    private mutating func startTLS() -> Action? {
        if peer.tls != nil { return refuse(.alreadyTLS) }
        guard settings.offersStartTLS else { return refuse(.notOffered) }
        // A message's reply that is still to come would be sent in the middle of the handshake.
        if envelope != nil || !replies.isSettled { return refuse(.notDuringMail) }
        phase = .awaitingTLS
        return .startTLS
    }
}
