import Mail
import SASL
import SMTP

/// A server session that says yes to all but `nobody`, and keeps what it said. It stores at once, unless it is told not to.
final class TestedServer {
    private var session: SMTPServerSession
    private var unread: [UInt8] = []
    private var recipientCount = 0
    private var written: [UInt8] = []
    private(set) var messages: [[UInt8]] = []
    private(set) var envelopes: [SMTPEnvelope] = []
    private(set) var queries: [SMTPRecipientQuery] = []
    private(set) var isClosed = false
    /// Whether the client is the server now.
    private(set) var hasTurned = false
    private(set) var proceedCount = 0
    /// How often `receive` made progress.
    private(set) var progressCount = 0
    var output = ""
    /// Whether output is taken before each message is begun.
    var flushesEagerly = true
    /// What comes while the driver is at work at DATA.
    var meanwhile = ""
    /// Whether messages await `store()`.
    var storesLater = false
    private var stored: [SMTPTransactionID] = []

    init(
        _ service: SMTPService, limits: SMTPLimits = SMTPLimits(),
        change: (inout SMTPServerSettings) -> Void = { _ in }
    ) {
        var settings = SMTPServerSettings(
            hostname: "mx.example.test", service: service, limits: limits, offersStartTLS: true,
            mechanisms: [.plain, .login], requiresTLSForAuthentication: false, requiresAuthentication: false)
        change(&settings)
        session = SMTPServerSession(
            settings: settings, peer: SMTPPeer(address: "192.0.2.1"), nonce: "fyko+d2lbbFgONRv9qkxdawL")
        session.opened()
        _ = session.takeOutput()
    }

    /// Greeted, and with a message to these recipients begun.
    convenience init(_ service: SMTPService, limits: SMTPLimits = SMTPLimits(), recipients: [String]) {
        self.init(service, limits: limits)
        receive(service.isLMTP ? "LHLO c\r\n" : "EHLO c\r\n")
        receive("MAIL FROM:<a@b.c>\(service == .cluster ? " XNAME=n" : "")\r\n")
        for recipient in recipients {
            receive("RCPT TO:<\(recipient)>\(service == .cluster ? " XMAILBOX=\(recipient)" : "")\r\n")
        }
        output = ""
    }

    /// A submission server that takes what other sites send, with one of them, b, logged in.
    static func ofSite(limits: SMTPLimits = SMTPLimits(), requiresAuthentication: Bool = true) -> TestedServer {
        let server = TestedServer(.submission, limits: limits) {
            $0.takesSites = true
            $0.requiresAuthentication = requiresAuthentication
        }
        server.receive("EHLO c\r\n")
        server.receive("AUTH PLAIN AGJAc2l0ZS5pbnZhbGlkAHNlY3JldA==\r\n")
        server.output = ""
        return server
    }

    var unreadCount: Int { unread.count }

    func receive(_ text: String) { receive(bytes: text.bytes) }

    /// Answers what `storesLater` has held back, and goes on.
    func store() {
        for id in stored { session.messageStored(id, Array(repeating: .accepted, count: recipientCount)) }
        stored = []
        receive("")
    }

    /// The service is about to end.
    func drain() {
        perform(session.draining(), [])
        output += session.takeOutput().text
    }

    func receive(bytes: [UInt8]) {
        unread += bytes
        while !isClosed, !hasTurned {
            let step = unread.withUnsafeBytes { session.receive($0) }
            let taken = Array(unread.prefix(step.consumed))
            unread.removeFirst(step.consumed)
            if session.takeProgress() { progressCount += 1 }
            if step.action == .needBytes || step.action == .waitForStorage { break }
            perform(step.action, taken)
        }
        output += session.takeOutput().text
    }

    private func perform(_ action: SMTPServerSession.Action, _ taken: [UInt8]) {
        switch action {
        case .needBytes, .waitForStorage: break
        case .proceed:
            proceedCount += 1
            output += session.takeOutput().text
        case .authenticate(let request): session.authenticationAnswered(answer(request))
        case .resolveRecipient(let query):
            queries.append(query)
            let isKnown = query.address.local != "nobody"
            session.recipientResolved(isKnown ? .accepted : .refused(Reason(550, "5.1.1", "no such user")))
        case .startMessage(let envelope):
            envelopes.append(envelope)
            written = []
            recipientCount = session.settings.service.isLMTP ? envelope.recipients.count : 1
            if flushesEagerly { output += session.takeOutput().text }
            unread += meanwhile.bytes
            meanwhile = ""
            session.messageStarted(.accepted)
        case .body(let range): written += taken[range]
        case .endMessage(let id, _):
            messages.append(written)
            stored.append(id)
            guard !storesLater else { break }
            session.messageStored(id, Array(repeating: .accepted, count: recipientCount))
            stored = []
        case .abandonMessage: written = []
        case .startTLS:
            session.tlsAccepted()
            output += session.takeOutput().text
            session.tlsStarted(SMTPTLS(version: "TLSv1.3"))
        case .startQueue(let request): session.queueStarted(request.user == nil ? .notAllowed("no user") : .started)
        case .askTurn: session.turnAnswered(.granted)
        case .turn: hasTurned = true
        case .close: isClosed = true
        }
    }

    /// Another site comes as `NAME@site.invalid`; everybody else is a@example.test.
    private func answer(_ request: AuthenticationRequest) -> AuthenticationAnswer {
        if let name = request.user.split(separator: "@").first, request.user.hasSuffix(AuthenticatedUser.siteDomain),
            let site = AuthenticatedUser(site: String(name))
        {
            return .user(site)
        }
        guard let mailbox = MailboxName("a@example.test"), let address = EmailAddress("a@example.test") else {
            return .rejected
        }
        if case .scramCredentials = request {
            let credentials = SCRAMCredentials(
                salt: [1, 2, 3, 4], iterations: 4096, storedKey: Array(repeating: 1, count: 32),
                serverKey: Array(repeating: 2, count: 32))
            return .credentials(credentials, AuthenticatedUser(address: address, mailbox: mailbox))
        }
        return .user(AuthenticatedUser(address: address, mailbox: mailbox))
    }
}
