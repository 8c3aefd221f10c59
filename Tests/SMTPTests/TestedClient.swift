import Mail
import SMTP

/// A client session that hears what a test says.
final class TestedClient {
    private var session: SMTPClientSession
    private var heard: [SMTPClientSession.Event] = []
    private var unread: [UInt8] = []

    init(
        mode: SMTPClientSettings.Mode, startTLS: SMTPClientSettings.StartTLS = .never,
        credentials: SMTPClientSettings.Credentials? = nil, inFlight: Int = 1, isTLS: Bool = false,
        nonce: String? = nil
    ) {
        session = SMTPClientSession(
            settings: SMTPClientSettings(
                mode: mode, clientName: "c.example", startTLS: startTLS, credentials: credentials,
                transactionsInFlightMax: inFlight), isTLS: isTLS, nonce: nonce)
    }

    /// Greeted by a server with these extensions.
    convenience init(mode: SMTPClientSettings.Mode, offers: [String], inFlight: Int = 1) {
        self.init(mode: mode, inFlight: inFlight)
        let lines = ["mx.example"] + offers
        let answer = lines.enumerated().map { index, line in "250\(index == lines.count - 1 ? " " : "-")\(line)\r\n" }
        _ = hear("220 mx.example\r\n")
        _ = hear(answer.joined())
        heard = []
        _ = session.takeEvents()
    }

    var events: [SMTPClientSession.Event] {
        heard += session.takeEvents()
        return heard
    }

    var capabilities: SMTPCapabilities { session.capabilities }

    func said() -> String { session.takeOutput().text }

    func hear(_ text: String) -> String {
        unread += text.bytes
        unread.removeFirst(unread.withUnsafeBytes { session.receive($0) })
        return said()
    }

    func submit(
        _ number: UInt64, _ recipients: [String], name: String? = nil, byteCount: Int = 5,
        content: HopContent = .message, heldFor: String? = nil
    ) {
        session.submit(transaction(number, recipients, name, byteCount, content, heldFor))
    }

    func submit(_ transaction: SMTPClientTransaction) { session.submit(transaction) }

    func beginStreaming(_ number: UInt64, _ recipients: [String], _ size: Int? = nil) {
        session.beginStreaming(transaction(number, recipients, nil, size))
    }

    func chunk(_ number: UInt64, _ byteCount: Int, isLast: Bool) -> Bool {
        session.chunk(SMTPTransactionID(number), byteCount: byteCount, isLast: isLast)
    }

    func abandonStreaming(_ number: UInt64) { session.abandonStreaming(SMTPTransactionID(number)) }
    func bodySent(_ number: UInt64) { session.bodySent(SMTPTransactionID(number)) }
    func tlsStarted() { session.tlsStarted() }
    func quit() { session.quit() }

    private func transaction(
        _ number: UInt64, _ recipients: [String], _ name: String?, _ byteCount: Int?,
        _ content: HopContent = .message, _ heldFor: String? = nil
    ) -> SMTPClientTransaction {
        let list = recipients.map { text in
            let parts = text.split(separator: "@").map(String.init)
            return SMTPRecipient(
                address: EmailAddress(local: parts[0], domain: parts[1]), mailbox: MailboxName(text), heldFor: heldFor)
        }
        return SMTPClientTransaction(
            id: SMTPTransactionID(number), sender: .address(EmailAddress(local: "s", domain: "x.test")),
            recipients: list, byteCount: byteCount, name: name.flatMap { MessageIdentity($0) }, content: content)
    }
}
