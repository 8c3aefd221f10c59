import Mail
import SMTP
import Testing

@Suite("SMTP client")
struct SMTPClientSessionTests {
    @Test("RFC 5321 §4.1.1.1: EHLO, or HELO if it is refused; LHLO in LMTP")
    func hello() {
        let client = TestedClient(mode: .smtp)
        #expect(client.hear("220 mx\r\n") == "EHLO c.example\r\n")
        #expect(client.hear("502 what?\r\n") == "HELO c.example\r\n")
        #expect(client.hear("250 mx\r\n") == "")
        #expect(client.events == [.ready(SMTPCapabilities())])
        let lmtp = TestedClient(mode: .lmtp)
        #expect(lmtp.hear("220 mx\r\n") == "LHLO c.example\r\n")
        #expect(lmtp.hear("500 no\r\n") == "")
        #expect(lmtp.events == [.closed(Reason(500, "5.0.0", "no"))])
    }

    @Test("RFC 2920: the whole envelope and the chunk go out together, and replies find their recipients")
    func pipelined() {
        let client = TestedClient(mode: .lmtp, offers: ["PIPELINING", "CHUNKING", "SIZE 100", "8BITMIME"])
        client.submit(1, ["a@x.test", "b@x.test", "c@x.test"])
        #expect(
            client.said() == "MAIL FROM:<s@x.test> SIZE=5 BODY=8BITMIME\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"
                + "RCPT TO:<c@x.test>\r\nBDAT 5 LAST\r\n")
        #expect(client.events == [.bodyWanted(SMTPTransactionID(1), .raw)])
        client.bodySent(1)
        #expect(client.hear("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n250 kept\r\n452 4.2.2 full\r\n") == "")
        #expect(
            client.events.last
                == .verdicts(
                    SMTPTransactionID(1),
                    [.accepted, .refused(Reason(550, "5.1.1", "no")), .deferred(Reason(452, "4.2.2", "full"))]))
    }

    @Test("RFC 2920 §3.1: without PIPELINING every command waits for its answer")
    func lockStep() {
        let client = TestedClient(mode: .smtp, offers: [])
        client.submit(1, ["a@x.test", "b@x.test"])
        #expect(client.said() == "MAIL FROM:<s@x.test>\r\n")
        #expect(client.hear("250 ok\r\n") == "RCPT TO:<a@x.test>\r\n")
        #expect(client.hear("550 5.1.1 no\r\n") == "RCPT TO:<b@x.test>\r\n")
        #expect(client.hear("250 ok\r\n") == "DATA\r\n")
        #expect(client.hear("354 go\r\n") == "")
        #expect(client.events == [.bodyWanted(SMTPTransactionID(1), .dotStuffed)])
        client.bodySent(1)
        #expect(client.hear("250 ok\r\n") == "")
        #expect(
            client.events.last == .verdicts(SMTPTransactionID(1), [.refused(Reason(550, "5.1.1", "no")), .accepted]))
    }

    @Test("RFC 2920 §3.1: text for nobody is ended at once, and the envelope is reset before the next")
    func nobody() {
        let client = TestedClient(mode: .smtp, offers: ["PIPELINING"])
        client.submit(1, ["a@x.test"])
        client.submit(2, ["a@x.test"])
        #expect(client.said() == "MAIL FROM:<s@x.test>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n")
        #expect(client.hear("250 ok\r\n550 5.1.1 no\r\n354 go\r\n") == ".\r\n")
        #expect(client.hear("554 no recipients\r\n") == "MAIL FROM:<s@x.test>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n")
        #expect(client.hear("250 ok\r\n550 5.1.1 no\r\n503 no recipients\r\n") == "")
        client.submit(3, ["a@x.test"])
        #expect(client.said() == "RSET\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n")
        let refused = [Verdict.refused(Reason(550, "5.1.1", "no"))]
        #expect(client.events == [.verdicts(SMTPTransactionID(1), refused), .verdicts(SMTPTransactionID(2), refused)])
    }

    @Test("A refused MAIL refuses every recipient, pipelined or not", arguments: [["PIPELINING", "CHUNKING"], []])
    func refusedSender(offers: [String]) {
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.submit(1, ["a@x.test", "b@x.test"])
        _ = client.said()
        if offers.isEmpty {
            #expect(client.hear("451 4.3.0 later\r\n") == "")
        } else {
            client.bodySent(1)
            #expect(client.hear("451 4.3.0 later\r\n503 x\r\n503 x\r\n503 x\r\n") == "")
        }
        let verdict = Verdict.deferred(Reason(451, "4.3.0", "later"))
        #expect(client.events.last == .verdicts(SMTPTransactionID(1), [verdict, verdict]))
    }

    @Test("Several transactions are in flight, up to the bound, and their bodies never mix with commands")
    func inFlight() {
        let client = TestedClient(mode: .lmtp, offers: ["PIPELINING", "CHUNKING", "XHAUBERK"], inFlight: 2)
        for number in 1...3 as ClosedRange<UInt64> { client.submit(number, ["a@x.test"], name: "n\(number)") }
        let first = "MAIL FROM:<s@x.test> XNAME=n1\r\nRCPT TO:<a@x.test> XMAILBOX=a@x.test\r\nBDAT 5 LAST\r\n"
        #expect(client.said() == first)
        #expect(client.hear("250 ok\r\n") == "")
        client.bodySent(1)
        #expect(client.said() == first.replacing("n1", with: "n2"))
        client.bodySent(2)
        #expect(client.said() == "")
        #expect(client.hear("250 ok\r\n250 ok\r\n") == first.replacing("n1", with: "n3"))
        client.bodySent(3)
        #expect(client.hear("250 ok\r\n250 ok\r\n452 4.3.1 full\r\n250 ok\r\n250 ok\r\n250 ok\r\n") == "")
        let verdicts = client.events.filter { if case .verdicts = $0 { true } else { false } }
        #expect(
            verdicts == [
                .verdicts(SMTPTransactionID(1), [.accepted]),
                .verdicts(SMTPTransactionID(2), [.deferred(Reason(452, "4.3.1", "full"))]),
                .verdicts(SMTPTransactionID(3), [.accepted]),
            ])
    }

    @Test("A lost connection tells of every transaction, and whether the server may have it")
    func interrupted() {
        let client = TestedClient(mode: .lmtp, offers: ["PIPELINING", "CHUNKING", "XHAUBERK"])
        client.submit(1, ["a@x.test"])
        client.submit(2, ["a@x.test"])
        client.bodySent(1)
        #expect(client.hear("250 ok\r\n421 4.3.2 going down\r\n") != "")
        client.submit(3, ["a@x.test"])
        #expect(
            client.events.dropFirst() == [
                .interrupted(SMTPTransactionID(1), bodySent: true),
                .interrupted(SMTPTransactionID(2), bodySent: false), .closed(Reason(421, "4.3.2", "going down")),
                .interrupted(SMTPTransactionID(3), bodySent: false),
            ])
    }

    @Test("RFC 5321 §3.8: 421 is the reply to what was said first, and what is behind that goes again")
    func goingDown() {
        for said in ["", "250 ok\r\n250 ok\r\n"] {
            let client = TestedClient(mode: .smtp, offers: ["PIPELINING", "CHUNKING"])
            client.submit(1, ["a@x.test"])
            client.submit(2, ["a@x.test"])
            client.bodySent(1)
            _ = client.hear(said + "421 4.7.0 too fast\r\n")
            #expect(
                client.events.dropFirst() == [
                    .verdicts(SMTPTransactionID(1), [.deferred(Reason(421, "4.7.0", "too fast"))]),
                    .interrupted(SMTPTransactionID(2), bodySent: false), .closed(Reason(421, "4.7.0", "too fast")),
                ])
        }
    }

    @Test("RFC 2033 §4.2: who has the message by then keeps it")
    func goingDownInBetween() {
        let client = TestedClient(mode: .lmtp, offers: ["PIPELINING", "CHUNKING"])
        client.submit(1, ["a@x.test", "b@x.test", "c@x.test"])
        client.bodySent(1)
        _ = client.hear("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n250 ok\r\n421 4.3.2 down\r\n")
        #expect(
            client.events.dropFirst().first
                == .verdicts(
                    SMTPTransactionID(1),
                    [.accepted, .refused(Reason(550, "5.1.1", "no")), .deferred(Reason(421, "4.3.2", "down"))]))
    }

    @Test("What is no SMTP ends the conversation", arguments: ["SSH-2.0-x\r\n", "220 x\n", "250 ok\r\n"])
    func garbage(_ text: String) {
        let client = TestedClient(mode: .smtp)
        _ = client.hear(text)
        guard case .closed(.some) = client.events.last else {
            Issue.record("\(client.events)")
            return
        }
        let ready = TestedClient(mode: .smtp, offers: [])
        _ = ready.hear("250 unasked\r\n")
        #expect(ready.events == [.closed(Reason(451, "4.5.0", "server replied to nothing: 250"))])
    }

    @Test("RFC 3207 §4.2: after TLS the client says hello again; words before TLS end the connection")
    func startTLS() {
        let client = TestedClient(mode: .smtp, startTLS: .required)
        _ = client.hear("220 mx\r\n")
        #expect(client.hear("250-mx\r\n250-CHUNKING\r\n250 STARTTLS\r\n") == "STARTTLS\r\n")
        _ = client.hear("220 go\r\n")
        #expect(client.events == [.startTLS])
        client.tlsStarted()
        #expect(client.said() == "EHLO c.example\r\n")
        _ = client.hear("250-mx\r\n250 STARTTLS\r\n")
        #expect(client.capabilities.startTLS && !client.capabilities.chunking)
        let injected = TestedClient(mode: .smtp, startTLS: .required)
        _ = injected.hear("220 mx\r\n")
        _ = injected.hear("250-mx\r\n250 STARTTLS\r\n")
        _ = injected.hear("220 go\r\n250 evil\r\n")
        #expect(injected.events == [.closed(Reason(451, "4.7.0", "server spoke before TLS"))])
        let without = TestedClient(mode: .smtp, startTLS: .required)
        _ = without.hear("220 mx\r\n")
        #expect(without.hear("250 mx\r\n") == "")
        #expect(without.events == [.closed(Reason(451, "4.7.0", "server does not offer STARTTLS"))])
    }

    @Test("RFC 5321 §4.1.1.1: every keyword of the greeting is kept for later, but not endlessly many")
    func keywords() {
        let client = TestedClient(
            mode: .smtp,
            offers: ["xsite Name=Example v=1", "ETRN", "ATRN", "X-Long \(String(repeating: "x", count: 2000))"])
        #expect(client.capabilities.keywords == ["XSITE": "Name=Example v=1", "ETRN": "", "ATRN": ""])
        #expect(client.capabilities.etrn && client.capabilities.atrn)
        #expect(!TestedClient(mode: .smtp, offers: ["XETRN"]).capabilities.etrn)
        let many = TestedClient(mode: .smtp, offers: (0..<1000).map { "X\($0)" })
        #expect(many.capabilities.keywords.count == 64)
    }

    @Test("What the server cannot take is not sent")
    func unsendable() {
        let client = TestedClient(mode: .smtp, offers: ["SIZE 4"])
        client.submit(1, ["a@x.test"])
        client.submit(2, ["ü@x.test"], byteCount: 1)
        client.submit(3, ["a@x.test"], name: "n", byteCount: 1)
        client.submit(4, ["a\r\nb@x.test"], byteCount: 1)
        #expect(client.said() == "")
        let isRefused = client.events.map { event in
            guard case .verdicts(_, let verdicts) = event, case .refused = verdicts.first else { return false }
            return true
        }
        #expect(isRefused == [true, true, false, true])
    }

    @Test("QUIT comes when all is done, and the end is no error")
    func quit() {
        let client = TestedClient(mode: .smtp, offers: ["CHUNKING", "PIPELINING"])
        client.submit(1, ["a@x.test"])
        client.quit()
        client.bodySent(1)
        #expect(!client.said().contains("QUIT"))
        #expect(client.hear("250 ok\r\n250 ok\r\n250 ok\r\n") == "QUIT\r\n")
        _ = client.hear("221 bye\r\n")
        #expect(client.events.last == .closed(nil))
    }
}
