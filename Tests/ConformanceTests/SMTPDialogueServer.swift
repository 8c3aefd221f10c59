import Mail
import SASL
import SMTP

/// A driver without sockets: does what the session says, answers as the dialogue's author wished or by fixed rules.
///
/// Known are the addresses of `example.test` but `nobody@example.test`; who has logged in may send anywhere. The one user is
/// alice@example.test, and the one other site is b, both with the password "secret". She may have what waits for
/// example.org, and nobody else anything.
final class SMTPDialogueServer {
    /// What the next questions are answered with, instead of by the rules.
    struct Answers {
        var recipients: [Verdict] = []
        var starts: [Verdict] = []
        var stores: [[Verdict]?] = []
        var logins: [AuthenticationAnswer] = []
        var queues: [ETRNAnswer] = []
        var turns: [ATRNAnswer?] = []
    }

    private(set) var session: SMTPServerSession
    var answers = Answers()
    /// Whether STARTTLS can be done.
    var hasCertificate = true
    private(set) var output: [UInt8] = []
    private(set) var isClosed = false
    private(set) var envelope: SMTPEnvelope?
    private(set) var summary: SMTPMessageSummary?
    private(set) var messages: [[UInt8]] = []
    private(set) var abandonedCount = 0
    private(set) var askedQueue: ETRNRequest?
    private(set) var askedTurn: ATRNRequest?
    /// Whether the connection is the client's to answer.
    private(set) var hasTurned = false
    private var awaitsTurn = false
    private var writing: [UInt8]?
    private var unread: [UInt8] = []
    private var awaiting: [(id: SMTPTransactionID, count: Int)] = []

    init(_ settings: SMTPServerSettings) {
        let tls = settings.startsWithTLS ? SMTPTLS(version: "TLSv1.3") : nil
        session = SMTPServerSession(
            settings: settings, peer: SMTPPeer(address: "192.0.2.1", tls: tls), nonce: "fyko+d2lbbFgONRv9qkxdawL",
            challenges: CRAMMD5.Challenges(seed: Array(0..<16), seconds: 1000, hostname: settings.hostname))
    }

    func open() {
        session.opened()
        flush()
    }

    func earlyTalk() { take(session.earlyTalk()) }
    func drain() { take(session.draining()) }
    func timeOut(_ kind: SMTPServerSession.TimeoutKind) { take(session.timedOut(kind)) }

    func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    func takeMessage() -> [UInt8]? { messages.isEmpty ? nil : messages.removeFirst() }

    func takeAbandoned() -> Int {
        defer { abandonedCount = 0 }
        return abandonedCount
    }

    /// Gives the session bytes and lets it go as far as it can.
    func receive(_ bytes: [UInt8]) {
        unread += bytes
        pump()
    }

    /// Tells the outcome of the message that has waited longest, or of the one behind it.
    func store(_ index: Int, _ verdicts: [Verdict]) -> Bool {
        guard index < awaiting.count, verdicts.count == awaiting[index].count else { return false }
        session.messageStored(awaiting.remove(at: index).id, verdicts)
        pump()
        return true
    }

    /// Tells what was put off.
    func answerTurn(_ answer: ATRNAnswer) {
        awaitsTurn = false
        session.turnAnswered(answer)
        pump()
    }

    private func flush() { output += session.takeOutput() }

    private func pump() {
        while !isClosed, !hasTurned, !awaitsTurn {
            let step = unread.withUnsafeBytes { session.receive($0) }
            let taken = Array(unread.prefix(step.consumed))
            unread.removeFirst(step.consumed)
            guard perform(step.action, taken) else { break }
        }
        flush()
    }

    private func take(_ action: SMTPServerSession.Action) {
        _ = perform(action, [])
        flush()
    }

    /// Whether there is more to be done at once.
    private func perform(_ action: SMTPServerSession.Action, _ taken: [UInt8]) -> Bool {
        switch action {
        case .needBytes, .waitForStorage: return false
        case .proceed: flush()
        case .authenticate(let request): session.authenticationAnswered(answer(request))
        case .resolveRecipient(let query):
            session.recipientResolved(answers.recipients.isEmpty ? judge(query) : answers.recipients.removeFirst())
        case .startMessage(let started):
            envelope = started
            let verdict = answers.starts.isEmpty ? .accepted : answers.starts.removeFirst()
            writing = verdict.isAccepted ? [] : nil
            session.messageStarted(verdict)
        case .body(let range): writing?.append(contentsOf: taken[range])
        case .endMessage(let id, let found): finish(id, found)
        case .abandonMessage:
            writing = nil
            abandonedCount += 1
        case .startTLS:
            guard hasCertificate else {
                session.tlsRefused()
                return true
            }
            session.tlsAccepted()
            flush()
            session.tlsStarted(SMTPTLS(version: "TLSv1.3"))
        case .startQueue(let request):
            askedQueue = request
            session.queueStarted(answers.queues.isEmpty ? judge(request) : answers.queues.removeFirst())
        case .askTurn(let request):
            askedTurn = request
            let answer = answers.turns.isEmpty ? judge(request) : answers.turns.removeFirst()
            awaitsTurn = answer == nil
            if let answer { session.turnAnswered(answer) }
        case .turn:
            hasTurned = true
        case .close:
            isClosed = true
            return false
        }
        return true
    }

    private func finish(_ id: SMTPTransactionID, _ found: SMTPMessageSummary) {
        summary = found
        messages.append(writing ?? [])
        writing = nil
        let isLMTP = session.settings.service.isLMTP
        let count = isLMTP ? envelope?.recipients.count ?? 0 : 1
        let verdicts = answers.stores.isEmpty ? Array(repeating: .accepted, count: count) : answers.stores.removeFirst()
        if let verdicts { session.messageStored(id, verdicts) } else { awaiting.append((id, count)) }
    }

    private func judge(_ query: SMTPRecipientQuery) -> Verdict {
        if query.address.domain != "example.test", query.user == nil {
            return .refused(Reason(550, "5.7.1", "relaying denied"))
        }
        return query.address.local == "nobody" ? .refused(Reason(550, "5.1.1", "no such user")) : .accepted
    }

    private func judge(_ request: ETRNRequest) -> ETRNAnswer {
        request.user == nil || request.target != .node("example.org") ? .notAllowed("no queue of yours") : .started
    }

    private func judge(_ request: ATRNRequest) -> ATRNAnswer {
        request.domains.allSatisfy { $0 == "example.org" } ? .granted : .refused("no domain of yours")
    }

    private func answer(_ request: AuthenticationRequest) -> AuthenticationAnswer {
        if !answers.logins.isEmpty { return answers.logins.removeFirst() }
        guard let mailbox = MailboxName("alice@example.test"), let address = EmailAddress("alice@example.test") else {
            return .rejected
        }
        let alice = AuthenticatedUser(address: address, mailbox: mailbox)
        switch request {
        case .password("alice@example.test", "secret"): return .user(alice)
        case .password("b@site.invalid", "secret"): return AuthenticatedUser(site: "b").map { .user($0) } ?? .rejected
        case .scramCredentials("alice@example.test"):
            return .credentials(SCRAMCredentials(password: "secret", salt: Array(repeating: 7, count: 16)), alice)
        case .cramMD5("alice@example.test", let challenge, let digest):
            return CRAMMD5.digest(challenge: challenge, secret: "secret") == digest ? .user(alice) : .rejected
        default: return .rejected
        }
    }
}
