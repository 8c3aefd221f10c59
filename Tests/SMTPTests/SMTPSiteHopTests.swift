import Mail
import SASL
import SMTP
import Testing

/// The client session towards another site, alone and with the server session.
@Suite("SMTP client, to another site")
struct SMTPSiteHopTests {
    private let offers = ["PIPELINING", "CHUNKING", "8BITMIME", "SIZE 1000", "XSITE"]

    private func transaction(
        _ number: UInt64, _ text: String, _ content: HopContent = .copy, path: String? = "a,b", local: String = "a"
    ) -> SMTPClientTransaction {
        SMTPClientTransaction(
            id: SMTPTransactionID(number), sender: .null,
            recipients: [
                SMTPRecipient(
                    address: EmailAddress(local: local, domain: "x.test"),
                    mailbox: MailboxName(local: local, domain: "x.test"))
            ], byteCount: text.utf8.count, name: MessageIdentity("n\(number)"), isRepeat: true, content: content,
            sitePath: path.flatMap { SitePath($0) })
    }

    @Test("Name, repeat, content, path and mailbox are said to whom offers XSITE, and to a storage node")
    func parameters() {
        for offer in ["XSITE", "XHAUBERK"] {
            let client = TestedClient(
                mode: offer == "XSITE" ? .smtp : .lmtp, offers: ["PIPELINING", "CHUNKING", offer])
            client.submit(transaction(1, "abc", .tombstone))
            #expect(
                client.said() == "MAIL FROM:<> XNAME=n1 XREPEAT XCONTENT=tombstone XPATH=a,b\r\n"
                    + "RCPT TO:<a@x.test> XMAILBOX=a@x.test\r\nBDAT 3 LAST\r\n")
        }
    }

    @Test("The path of what has been nowhere is said too; without one there is no parameter")
    func paths() {
        for (path, parameter) in [("-", " XPATH=-"), (nil, "")] {
            let client = TestedClient(mode: .smtp, offers: offers)
            client.submit(transaction(1, "abc", path: path))
            #expect(
                client.said().hasPrefix(
                    "MAIL FROM:<> SIZE=3 BODY=8BITMIME XNAME=n1 XREPEAT XCONTENT=copy\(parameter)\r\n"))
        }
    }

    @Test(
        "A copy may be larger than what the other site takes from clients, by the fields on top; ordinary mail may not")
    func sizes() {
        let most = 1000 + (64 << 10)
        for (size, content, isSaid) in [
            (most, HopContent.copy, true), (most + 1, .copy, false), (1000, .message, true), (1001, .message, false),
        ] {
            let client = TestedClient(mode: .smtp, offers: offers)
            client.submit(transaction(1, String(repeating: "x", count: size), content))
            #expect(client.said().isEmpty != isSaid)
            if !isSaid, case .verdicts(_, let verdicts) = client.events.last {
                #expect(verdicts == [.refused(Reason(552, "5.3.4", "message is too big for the next server"))])
            }
        }
    }

    @Test("What has a name is put off where the server offers neither XSITE nor XHAUBERK, and nothing of it is said")
    func elsewhere() {
        let client = TestedClient(mode: .smtp, offers: ["PIPELINING", "CHUNKING"])
        client.submit(transaction(1, "abc"))
        #expect(client.said() == "")
        guard case .verdicts(_, let verdicts) = client.events.last, case .deferred = verdicts.first else {
            Issue.record("\(client.events)")
            return
        }
    }

    @Test(
        "A site is asked only if it says that it answers, a storage node always; what is not asked is told apart",
        arguments: HopContent.allCases.filter(\.isQuestion))
    func questions(content: HopContent) {
        for (offer, isAsked) in [
            ("XSITE DIGEST OFFER", true), ("XSITE offer X digest", true), ("XSITE", false), ("XSITE DIGEST", false),
            ("XSITE OFFER", false), ("XHAUBERK", true),
        ] {
            let client = TestedClient(
                mode: offer == "XHAUBERK" ? .lmtp : .smtp, offers: ["PIPELINING", "CHUNKING", offer])
            client.submit(transaction(1, "1.x\r\n", content))
            let said = client.said()
            #expect(said.contains(" XCONTENT=\(content.rawValue) ") == isAsked && said.isEmpty != isAsked)
            let id = SMTPTransactionID(1)
            #expect((client.events.last == .verdicts(id, [.refused(.answersNothing)])) != isAsked)
            guard isAsked else { continue }
            client.bodySent(1)
            _ = client.hear("250 ok\r\n250 ok\r\n550 5.2.0 lacking 1\r\n")
            #expect(client.events.last == .verdicts(id, [.refused(Reason(550, "5.2.0", "lacking 1"))]))
        }
    }

    @Test(
        "What the other site does not understand is put off, and what it refuses for the message's sake is refused",
        arguments: [
            ("500 5.5.2 x", true), ("501 5.5.4 x", true), ("555 5.5.4 x", true), ("550 5.1.1 x", false),
            ("552 5.3.4 x", false),
        ])
    func refusals(reply: String, isDeferred: Bool) throws {
        let client = TestedClient(mode: .smtp, offers: offers)
        client.submit(transaction(1, "abc"))
        client.bodySent(1)
        _ = client.hear("250 ok\r\n\(reply)\r\n503 5.5.1 no valid recipients\r\n")
        guard case .verdicts(_, let verdicts) = client.events.last, let verdict = verdicts.first else {
            Issue.record("\(client.events)")
            return
        }
        if case .deferred = verdict { #expect(isDeferred) } else { #expect(!isDeferred && !verdict.isAccepted) }
    }

    private static let copies = [
        "", "a\r\n", "no line end", "bare\nLF\nand\rCR", ".\r\n..\r\n", "Received: x\r\n\r\n\u{e4}\u{0}\r\n.\r\n",
        String(repeating: "x\r\n", count: 30_000), "From nobody\r\nQUIT\r\n",
    ]

    @Test(
        "Copies and tombstones cross byte for byte in their order, pipelined and not, one after the other and together",
        arguments: [true, false], [1, 4])
    func crossing(pipelines: Bool, inFlight: Int) throws {
        let server = TestedServer(.submission) {
            $0.takesSites = true
            $0.requiresAuthentication = true
        }
        var session = SMTPClientSession(
            settings: SMTPClientSettings(
                mode: .smtp, clientName: "c",
                credentials: SMTPClientSettings.Credentials(
                    user: "b@\(AuthenticatedUser.siteDomain)", password: "secret", allowsPlainWithoutTLS: true),
                pipelines: pipelines, transactionsInFlightMax: inFlight))
        let tombstones = ["1.x\r\n2.y\r\n", "3.z\r\n"]
        let texts = Self.copies + tombstones
        for (number, text) in texts.enumerated() {
            let isTombstone = number >= Self.copies.count
            session.submit(transaction(UInt64(number), text, isTombstone ? .tombstone : .copy))
            session.submit(transaction(UInt64(100 + number), text, local: "nobody"))
        }
        session.quit()
        let outcomes = converse(&session, server) { id in texts[Int(id.number % 100)] }
        let accepted = outcomes.filter { $0.verdict == .accepted }.map(\.id.number)
        #expect(accepted == texts.indices.map { UInt64($0) })
        #expect(outcomes.count == 2 * texts.count)
        #expect(
            outcomes.allSatisfy { $0.id.number < 100 || $0.verdict == .refused(Reason(550, "5.1.1", "no such user")) })
        #expect(server.messages == texts.map(\.bytes))
        let envelopes = server.envelopes
        #expect(envelopes.map(\.name?.text) == texts.indices.map { "n\($0)" })
        #expect(envelopes.map(\.content) == Self.copies.map { _ in .copy } + tombstones.map { _ in .tombstone })
        #expect(envelopes.allSatisfy { $0.sitePath == SitePath("a,b") && $0.isRepeat && $0.user?.site == "b" })
        #expect(envelopes.allSatisfy { $0.recipients.map(\.mailbox) == [MailboxName("a@x.test")] })
    }

    /// Until the client has said good-bye.
    private func converse(
        _ session: inout SMTPClientSession, _ server: TestedServer, _ text: (SMTPTransactionID) -> String
    ) -> [(id: SMTPTransactionID, verdict: Verdict)] {
        var outcomes: [(SMTPTransactionID, Verdict)] = []
        var unread = "220 mx.example.test\r\n".bytes
        for _ in 0..<10_000 {
            unread.removeFirst(unread.withUnsafeBytes { session.receive($0) })
            for event in session.takeEvents() {
                switch event {
                case .bodyWanted(let id, _):
                    server.receive(bytes: session.takeOutput())
                    server.receive(text(id))
                    session.bodySent(id)
                case .verdicts(let id, let verdicts): outcomes += verdicts.map { (id, $0) }
                case .closed(let reason):
                    #expect(reason == nil)
                    return outcomes
                case .ready: break
                default: Issue.record("\(event)")
                }
            }
            server.receive(bytes: session.takeOutput())
            unread += server.output.bytes
            server.output = ""
        }
        Issue.record("both wait")
        return outcomes
    }
}
