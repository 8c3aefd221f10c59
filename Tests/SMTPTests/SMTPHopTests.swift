import Mail
import SMTP
import Testing

/// The cluster's own service, seen from the frontend or node that delivers.
@Suite("SMTP client, to a storage node")
struct SMTPHopTests {
    private let offers = ["PIPELINING", "CHUNKING", "XHAUBERK"]
    private let id = SMTPTransactionID(1)

    private func outcome(_ code: Int) -> Verdict {
        .deferred(Reason(451, "4.5.0", "the server does not understand: \(code)"))
    }

    @Test(
        "What a storage node does not understand is put off, for it is no fault of the sender's",
        arguments: ["500 5.5.2 line too long", "501 5.5.4 bad", "503 5.5.1 order", "555 5.5.4 what", "550 5.5.0 no"])
    func protocolErrors(reply: String) throws {
        let code = try #require(Int(reply.prefix(3)))
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.submit(1, ["a@x.test", "b@x.test"], name: "n")
        client.bodySent(1)
        _ = client.hear("250 ok\r\n\(reply)\r\n250 ok\r\n\(reply)\r\n")
        #expect(client.events.last == .verdicts(id, [outcome(code), outcome(code)]))
        client.submit(2, ["a@x.test"], name: "n")
        client.bodySent(2)
        _ = client.hear("\(reply)\r\n503 5.5.1 no\r\n503 5.5.1 no\r\n")
        #expect(client.events.last == .verdicts(SMTPTransactionID(2), [outcome(code)]))
    }

    @Test("A chunk that a storage node does not understand is put off")
    func chunks() {
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.beginStreaming(1, ["a@x.test"])
        _ = client.hear("250 ok\r\n250 ok\r\n")
        #expect(client.chunk(1, 10, isLast: false))
        _ = client.hear("503 5.5.1 MAIL first\r\n")
        #expect(client.events.last == .verdicts(id, [outcome(503)]))
    }

    @Test("What a storage node refuses for the message's sake stays refused, and so does what another server says")
    func refusals() {
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.submit(1, ["a@x.test"], name: "n")
        client.bodySent(1)
        _ = client.hear("250 ok\r\n250 ok\r\n550 5.6.11 bare\r\n")
        #expect(client.events.last == .verdicts(id, [.refused(Reason(550, "5.6.11", "bare"))]))
        let other = TestedClient(mode: .lmtp, offers: ["PIPELINING", "CHUNKING"])
        other.submit(1, ["a@x.test"])
        other.bodySent(1)
        _ = other.hear("250 ok\r\n501 5.5.4 bad\r\n503 5.5.1 no\r\n")
        #expect(other.events.last == .verdicts(id, [.refused(Reason(501, "5.5.4", "bad"))]))
    }

    @Test(
        "XCONTENT says what the text is, unless it is a message, and XFOR for whom it is kept",
        arguments: HopContent.allCases)
    func parameters(content: HopContent) {
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.submit(1, ["a@x.test"], name: "n", content: content, heldFor: "store 2")
        let kind = content == .message ? "" : " XCONTENT=\(content.rawValue)"
        #expect(
            client.said() == "MAIL FROM:<s@x.test> XNAME=n\(kind)\r\n"
                + "RCPT TO:<a@x.test> XMAILBOX=a@x.test XFOR=store+202\r\nBDAT 5 LAST\r\n")
    }

    @Test("That the copies are alike is said to storage nodes, and understood there")
    func alike() throws {
        for (offers, isSaid) in [(offers, true), (["PIPELINING", "CHUNKING"], false)] {
            let client = TestedClient(mode: .lmtp, offers: offers)
            let alice = SMTPRecipient(
                address: EmailAddress(local: "a", domain: "x.test"), mailbox: MailboxName("a@x.test"))
            client.submit(
                SMTPClientTransaction(
                    id: id, sender: .null, recipients: [alice], byteCount: 5,
                    name: isSaid ? MessageIdentity("n") : nil, isAlike: true))
            let said = client.said()
            #expect(said.contains(" XALIKE\r\n") == isSaid)
            guard isSaid else { continue }
            let server = TestedServer(.cluster, limits: .hop(transactionsInFlightMax: 1))
            server.receive("LHLO c\r\n")
            server.receive(said + "abc\r\n")
            #expect(try #require(server.envelopes.last).isAlike)
        }
    }

    @Test("The cluster's parameters go to storage nodes only")
    func elsewhere() {
        let client = TestedClient(mode: .lmtp, offers: ["PIPELINING", "CHUNKING"])
        client.submit(1, ["a@x.test"], content: .copy, heldFor: "store-2")
        #expect(client.said() == "MAIL FROM:<s@x.test>\r\nRCPT TO:<a@x.test>\r\nBDAT 5 LAST\r\n")
    }

    @Test(
        "What the client session writes for each kind of text, the server session takes", arguments: HopContent.allCases
    )
    func bothSides(content: HopContent) throws {
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.submit(1, ["a@x.test"], name: "n", content: content, heldFor: "store-2")
        let server = TestedServer(.cluster, limits: .hop(transactionsInFlightMax: 1))
        server.receive("LHLO c\r\n")
        server.receive(client.said() + "abc\r\n")
        let envelope = try #require(server.envelopes.last)
        #expect(envelope.content == content && envelope.recipients.map(\.heldFor) == ["store-2"])
    }
}
