import Mail
import SASL
import SMTP

/// A server session of any service, any bytes in any pieces, answers of any kind: it never traps, says only replies,
/// gives messages only as the contract has them, takes from another site what a site may send only, and says the same however the bytes are cut.
func fuzzSMTPServerSession(_ input: UnsafeRawBufferPointer) {
    guard input.count > 4 else { return }
    let bytes = Array(input.dropFirst(4))
    let whole = FuzzedServer(input).run(bytes, piece: bytes.count)
    let cut = FuzzedServer(input).run(bytes, piece: 1 + Int(input[1]) % 20)
    // Where bytes must not come together, the cut matters.
    let pipelining = Array("554 5.5.0".utf8)
    if [whole, cut].contains(where: { $0.output.contains(pipelining) }) { return }
    precondition(whole.output == cut.output, "the replies depend on how the bytes were cut")
    precondition(whole.messages == cut.messages, "the messages depend on how the bytes were cut")
}

private final class FuzzedServer {
    struct Result {
        var output: [UInt8]
        var messages: [[UInt8]]
    }

    private var session: SMTPServerSession
    private let answers: UInt8
    /// Whether whoever logs in is another site.
    private let isSite: Bool
    private var asked = 0
    private var output: [UInt8] = []
    private var messages: [[UInt8]] = []
    private var open: [UInt8]?
    private var envelope: SMTPEnvelope?
    private var awaiting: [(SMTPTransactionID, Int)] = []
    private var isClosed = false

    init(_ input: UnsafeRawBufferPointer) {
        let services = SMTPService.allCases
        let limits = SMTPLimits(
            messageBytesMax: input[2] & 1 == 0 ? 64 : 1 << 20, recipientsMax: 3, commandLineBytesMax: 512,
            authenticationLineBytesMax: 600, textLineBytesMax: 1000, commandsWithoutMailMax: 50, errorsMax: 30,
            receivedMax: 2, transactionsInFlightMax: 3)
        let settings = SMTPServerSettings(
            hostname: "mx.example.test", service: services[Int(input[0]) % services.count], limits: limits,
            offersStartTLS: input[2] & 2 != 0, mechanisms: SASLMechanism.allCases,
            requiresTLSForAuthentication: input[2] & 4 != 0, requiresAuthentication: input[2] & 8 != 0,
            takesSites: input[2] & 16 != 0,
            offersETRN: input[2] & 64 != 0, offersATRN: input[2] & 128 != 0)
        session = SMTPServerSession(
            settings: settings, peer: SMTPPeer(address: "192.0.2.1"), nonce: "fyko+d2lbbFgONRv9qkxdawL",
            challenges: CRAMMD5.Challenges(seed: Array(0..<16), seconds: 1, hostname: settings.hostname))
        answers = input[3]
        isSite = input[2] & 32 != 0
    }

    func run(_ bytes: [UInt8], piece: Int) -> Result {
        session.opened()
        var unread: [UInt8] = []
        var fed = 0
        while !isClosed {
            let step = unread.withUnsafeBytes { session.receive($0) }
            precondition(step.consumed <= unread.count, "consumed too much")
            let isIdle = perform(step.action, unread, step.consumed)
            unread.removeFirst(step.consumed)
            if isIdle, step.action == .needBytes {
                // A line, or an AUTH line, and no more is ever held back.
                precondition(unread.count < 1024, "holds \(unread.count) bytes")
                if fed == bytes.count { break }
                let end = min(bytes.count, fed + piece)
                unread += bytes[fed..<end]
                fed = end
            }
            output += session.takeOutput()
        }
        while let (id, count) = awaiting.first { settle(id, count) }
        output += session.takeOutput()
        checkReplies()
        return Result(output: output, messages: messages)
    }

    /// The same question is answered the same way in both runs.
    private func verdict() -> Verdict {
        asked += 1
        switch (Int(answers) + asked) % 7 {
        case 5: return .deferred(Reason(451, "4.3.0", "later\r\n250 ok"))
        case 6: return .refused(Reason(550, "5.1.1", "never"))
        default: return .accepted
        }
    }

    private func perform(_ action: SMTPServerSession.Action, _ unread: [UInt8], _ consumed: Int) -> Bool {
        switch action {
        case .needBytes: return true
        case .proceed: break
        case .waitForStorage:
            guard let (id, count) = awaiting.first else { preconditionFailure("waits for nothing") }
            settle(id, count)
        case .authenticate(let request): session.authenticationAnswered(answer(request))
        case .resolveRecipient: session.recipientResolved(verdict())
        case .startMessage(let started):
            precondition(open == nil && !started.recipients.isEmpty, "started without recipients")
            check(started)
            envelope = started
            let verdict = verdict()
            open = verdict.isAccepted ? [] : nil
            session.messageStarted(verdict)
        case .body(let range):
            precondition(open != nil && range.upperBound <= consumed && !range.isEmpty, "body \(range)")
            open?.append(contentsOf: unread[range])
        case .endMessage(let id, let summary): end(id, summary)
        case .abandonMessage:
            precondition(open != nil, "abandons what is not there")
            open = nil
        case .startTLS:
            precondition(consumed == unread.count, "bytes are left before TLS")
            session.tlsStarted(SMTPTLS(version: "TLSv1.3"))
        case .startQueue(let request):
            check(request)
            asked += 1
            let answers: [ETRNAnswer] = [.started, .nothingWaiting, .pending(nil), .pending(3), .unable("a\r\n250 ok")]
            session.queueStarted(asked % 6 == 5 ? .notAllowed("no\n") : answers[asked % 6])
        case .askTurn(let request):
            precondition(request.user.site == nil, "a site turns a connection")
            asked += 1
            let answers: [ATRNAnswer] = [.granted, .refused("no\r\n"), .unable(""), .noMail]
            session.turnAnswered(answers[asked % 4])
        case .turn:
            precondition(consumed == unread.count, "bytes are left before a turn")
            isClosed = true
        case .close: isClosed = true
        }
        return false
    }

    private func end(_ id: SMTPTransactionID, _ summary: SMTPMessageSummary) {
        guard var message = open, let envelope else { preconditionFailure("ends what is not there") }
        open = nil
        precondition(message.count == summary.byteCount, "counted \(summary.byteCount)")
        if summary.appendLineEnd { message += [13, 10] }
        precondition(
            envelope.content == .copy || message.isEmpty || message.suffix(2) == [13, 10], "no line end at the end")
        for (index, byte) in message.enumerated() where envelope.content != .copy {
            if byte == 13 { precondition(message[index + 1] == 10, "a bare CR came through") }
            if byte == 10 { precondition(index > 0 && message[index - 1] == 13, "a bare LF came through") }
        }
        messages.append(message)
        let count = session.settings.service.isLMTP ? envelope.recipients.count : 1
        if session.settings.service == .cluster { awaiting.append((id, count)) } else { settle(id, count) }
    }

    private func settle(_ id: SMTPTransactionID, _ count: Int) {
        awaiting.removeAll { $0.0 == id }
        session.messageStored(id, (0..<count).map { $0 % 2 == 0 ? .accepted : .deferred(.unexpected) })
    }

    private func check(_ request: ETRNRequest) {
        precondition(envelope == nil || open == nil, "ETRN inside a message")
        precondition(request.target.description.utf8.count <= 256, "\(request)")
        precondition(!request.target.description.utf8.contains { $0 <= 0x20 || $0 == 0x7F }, "\(request)")
    }

    private func check(_ envelope: SMTPEnvelope) {
        guard session.settings.service != .cluster else { return }
        guard let site = envelope.user?.site else {
            precondition(
                envelope.name == nil && envelope.content == .message && envelope.sitePath == nil, "\(envelope)")
            return precondition(envelope.recipients.allSatisfy { $0.mailbox == nil && $0.heldFor == nil })
        }
        precondition(envelope.name != nil && envelope.content.comesFromSites, "\(envelope)")
        precondition(envelope.sitePath?.sites.last == site, "\(envelope)")
        precondition(envelope.recipients.allSatisfy { $0.mailbox != nil && $0.heldFor == nil }, "\(envelope)")
    }

    private func answer(_ request: AuthenticationRequest) -> AuthenticationAnswer {
        guard let mailbox = MailboxName("a@example.test"), let address = EmailAddress("a@example.test") else {
            return .rejected
        }
        asked += 1
        switch (Int(answers) + asked) % 4 {
        case 0: return .rejected
        case 1: return .unavailable(.unexpected)
        default:
            if case .scramCredentials = request {
                let credentials = SCRAMCredentials(
                    salt: [1, 2, 3, 4], iterations: 4096, storedKey: Array(repeating: 1, count: 32),
                    serverKey: Array(repeating: 2, count: 32))
                return .credentials(credentials, AuthenticatedUser(address: address, mailbox: mailbox))
            }
            if isSite, let site = AuthenticatedUser(site: "b") { return .user(site) }
            return .user(AuthenticatedUser(address: address, mailbox: mailbox))
        }
    }

    private func checkReplies() {
        for line in output.split(separator: 10) {
            precondition(line.last == 13 && line.count >= 5, "no reply line: \(line)")
            precondition((50...53).contains(line[line.startIndex]), "no reply code: \(line)")
        }
    }
}
