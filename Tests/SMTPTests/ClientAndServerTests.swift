import Mail
import SMTP
import Testing

/// The client session and the server session with each other: what goes in comes out.
@Suite("SMTP client and server")
struct ClientAndServerTests {
    private static let messages = [
        "", "a\r\n", ".\r\n", "..\r\n.\r\n\r\n", "Subject: x\r\n\r\n.a\r\n..b\r\nc.\r\n",
        String(repeating: "x\r\n", count: 30_000),
    ]

    @Test(
        "Messages cross byte for byte, by DATA and by BDAT, pipelined and not",
        arguments: [SMTPService.mx, .lmtp, .cluster], [0, 1, 2, 3])
    func crossing(_ service: SMTPService, _ way: Int) {
        let server = TestedServer(service)
        var session = SMTPClientSession(
            settings: SMTPClientSettings(
                mode: service.isLMTP ? .lmtp : .smtp, clientName: "c", usesChunks: way & 1 == 0,
                pipelines: way & 2 == 0,
                transactionsInFlightMax: service == .cluster ? 4 : 1))
        for (number, message) in Self.messages.enumerated() {
            session.submit(transaction(UInt64(number), message.utf8.count, isNamed: service == .cluster))
        }
        session.quit()
        var outcomes: [SMTPTransactionID] = []
        var unread = "220 mx.example.test\r\n".bytes
        var isOver = false
        while !isOver {
            unread.removeFirst(unread.withUnsafeBytes { session.receive($0) })
            for event in session.takeEvents() {
                switch event {
                case .bodyWanted(let id, let form):
                    server.receive(bytes: session.takeOutput())
                    server.receive(bytes: encoded(Self.messages[Int(id.number)], form))
                    session.bodySent(id)
                case .verdicts(let id, let verdicts):
                    #expect(
                        verdicts
                            == [.accepted, .refused(Reason(550, "5.1.1", "no such user")), .accepted].filter {
                                verdict in
                                service != .cluster || verdict.isAccepted
                            })
                    outcomes.append(id)
                case .closed(let reason):
                    #expect(reason == nil)
                    isOver = true
                case .ready: break
                default: Issue.record("\(event)")
                }
            }
            server.receive(bytes: session.takeOutput())
            if !isOver, server.output.isEmpty, session.takeEvents().isEmpty, !session.hasOutput, unread.isEmpty {
                Issue.record("both wait")
                return
            }
            unread += server.output.bytes
            server.output = ""
        }
        #expect(outcomes.map(\.number) == Self.messages.indices.map { UInt64($0) })
        #expect(server.messages.map(\.text) == Self.messages)
        #expect(server.envelopes.allSatisfy { $0.recipients.count == 2 })
    }

    private func encoded(_ message: String, _ form: SMTPClientSession.BodyForm) -> [UInt8] {
        guard form == .dotStuffed else { return message.bytes }
        var stuffer = DotStuffer()
        var output: [UInt8] = []
        message.bytes.withUnsafeBytes { stuffer.encode($0, into: &output) }
        stuffer.finish(into: &output)
        return output
    }

    private func transaction(_ number: UInt64, _ count: Int, isNamed: Bool) -> SMTPClientTransaction {
        let locals = isNamed ? ["a", "b b"] : ["a", "nobody", "b b"]
        let recipients = locals.map {
            SMTPRecipient(
                address: EmailAddress(local: $0, domain: "example.test"),
                mailbox: MailboxName(local: $0, domain: "x.test"))
        }
        return SMTPClientTransaction(
            id: SMTPTransactionID(number), sender: .null, recipients: recipients, byteCount: count,
            name: isNamed ? MessageIdentity("n\(number)") : nil)
    }
}
