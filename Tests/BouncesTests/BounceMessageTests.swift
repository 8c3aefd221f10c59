import Bounces
import Mail
import Testing

@Suite("Delivery status notifications")
struct BounceMessageTests {
    @Test("RFC 6522 §3, RFC 3834 §5: a multipart/report in three parts that no robot answers")
    func report() throws {
        let parsed = try takenApart(failed())
        #expect(
            parsed.header == [
                "From: Mail Delivery System <MAILER-DAEMON@mx.example.test>", "To: <s@example.test>",
                "Subject: Undeliverable mail", "Date: Sun, 9 Sep 2001 01:46:41 +0000",
                "Message-ID: <n1@mx.example.test>", "Auto-Submitted: auto-replied", "MIME-Version: 1.0",
                "Content-Type: multipart/report; report-type=delivery-status; boundary=\"=_hauberk_0=\"",
            ])
        #expect(
            parsed.parts.map(\.fields) == [
                ["Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit"],
                ["Content-Type: message/delivery-status", "Content-Transfer-Encoding: 7bit"],
                ["Content-Type: text/rfc822-headers", "Content-Transfer-Encoding: 7bit"],
            ])
        #expect(parsed.parts[0].body.contains("<r@far.test>\r\n    mx.far.test said: 550 5.1.1 no such user\r\n"))
        #expect(parsed.parts[2].body == "Subject: hello\r\n")
    }

    @Test("RFC 3464 §2: the fields of the message, and a group for each recipient")
    func status() throws {
        var message = failed(recipients: [
            FailedRecipient(
                address: EmailAddress(local: "r", domain: "far.test"), verdict: unknownUser,
                originalRecipient: "rfc822;list@far.test", remoteHost: "mx.far.test", lastAttempt: 1_000_000_000),
            FailedRecipient(
                address: EmailAddress(local: "late", domain: "far.test"),
                verdict: .deferred(Reason(451, "4.4.1", "no answer"))),
        ])
        message.envelopeID = "QQ314159"
        let parsed = try takenApart(message)
        #expect(
            parsed.parts[1].body
                == """
                Original-Envelope-Id: QQ314159
                Reporting-MTA: dns; mx.example.test
                Arrival-Date: Sun, 9 Sep 2001 01:46:39 +0000

                Original-Recipient: rfc822; list@far.test
                Final-Recipient: rfc822; r@far.test
                Action: failed
                Status: 5.1.1
                Remote-MTA: dns; mx.far.test
                Diagnostic-Code: smtp; 550 5.1.1 no such user
                Last-Attempt-Date: Sun, 9 Sep 2001 01:46:40 +0000

                Final-Recipient: rfc822; late@far.test
                Action: failed
                Status: 4.4.1
                Diagnostic-Code: x-hauberk; 451 4.4.1 no answer

                """.replacing("\n", with: "\r\n"))
        #expect(parsed.parts[0].body.contains("in the time that is allowed. The last failure:\r\n    451 4.4.1"))
    }

    @Test(
        "RFC 3463 §2: a status that is none, or of the other class, is not passed on",
        arguments: [
            ("5.1.1", "5.1.1"), ("4.1.1", "5.0.0"), ("", "5.0.0"), ("5.1", "5.0.0"), ("5.1.1.1", "5.0.0"),
            ("5.1234.1", "5.0.0"), ("5.1.1\r\nX: y", "5.0.0"), ("5..1", "5.0.0"), ("5.１.1", "5.0.0"),
        ])
    func statusCode(_ given: String, _ shown: String) throws {
        let recipient = FailedRecipient(address: sender, verdict: .refused(Reason(550, given, "x")))
        let parsed = try takenApart(failed(recipients: [recipient]))
        #expect(parsed.parts[1].body.contains("\r\nStatus: \(shown)\r\n"))
        let late = FailedRecipient(address: sender, verdict: .deferred(Reason(451, "", "x")))
        let expired = try takenApart(failed(recipients: [late]))
        #expect(expired.parts[1].body.contains("\r\nStatus: 4.4.7\r\n"))
    }

    @Test("RFC 3834 §3.1.5: the notice says what it answers", arguments: ["Message-ID", "MESSAGE-id"])
    func reference(_ name: String) throws {
        let parsed = try takenApart(failed(.null, "A: b\n\(name): <a@b>\n\n"))
        #expect(parsed.header.contains("In-Reply-To: <a@b>") && parsed.header.contains("References: <a@b>"))
        for bad in ["a@b", "<a@b> (c) <d>", "<a\u{0}b>", "<ä@b>", "<\(String(repeating: "a", count: 300))>", ""] {
            let parsed = try takenApart(failed(.null, "\(name): \(bad)\n\n"))
            #expect(!parsed.header.contains { $0.hasPrefix("In-Reply-To") })
        }
    }

    @Test("RFC 6533 §3: towards an ASCII address all is 7-bit, also addresses and reasons that are not")
    func sevenBit() throws {
        let recipient = FailedRecipient(
            address: EmailAddress(local: "jürgen+x", domain: "fär.test"),
            verdict: .refused(Reason(550, "5.1.1", "gibt’s nicht")), remoteHost: "mx.fär.test")
        let message = try #require(notice(failed(.null, "Subject: grüße\n\n", recipients: [recipient])))
        #expect(message.bytes.allSatisfy { $0 < 0x80 } && !message.isEightBit && !message.needsUTF8)
        let parsed = try #require(Parsed(message))
        #expect(
            parsed.parts[1].body.contains("Final-Recipient: utf-8; j\\x{FC}rgen\\x{2B}x@f\\x{E4}r.test\r\n"))
        #expect(parsed.parts[1].body.contains("Diagnostic-Code: smtp; 550 5.1.1 gibt?s nicht\r\n"))
        #expect(parsed.parts[0].fields.contains("Content-Transfer-Encoding: quoted-printable"))
        #expect(parsed.parts[0].body.contains("<j=C3=BCrgen+x@f=C3=A4r.test>"))
        #expect(parsed.parts[2].body == "Subject: gr=C3=BC=C3=9Fe\r\n")
    }

    @Test("RFC 6533 §4: towards an address that is not ASCII, the types for UTF-8")
    func global() throws {
        let recipient = FailedRecipient(
            address: EmailAddress(local: "jürgen", domain: "far.test"),
            verdict: .refused(Reason(550, "5.1.1", "gibt’s nicht")), remoteHost: "mx.far.test")
        let to = EmailAddress(local: "ü", domain: "example.test")
        let message = try #require(notice(failed(.address(to), recipients: [recipient])))
        #expect(message.isEightBit && message.needsUTF8)
        let parsed = try #require(Parsed(message))
        #expect(parsed.header.contains("To: <ü@example.test>"))
        #expect(parsed.header.contains("Content-Transfer-Encoding: 8bit"))
        #expect(
            parsed.parts.map { $0.fields[0] }.dropFirst() == [
                "Content-Type: message/global-delivery-status", "Content-Type: message/global-headers",
            ])
        #expect(parsed.parts[1].body.contains("Final-Recipient: utf-8; jürgen@far.test\r\n"))
        #expect(parsed.parts[1].body.contains("gibt’s nicht"))
    }

    @Test("A small message goes back whole, an 8-bit one too; one that cannot stand in a message does not")
    func whole() throws {
        for (content, isEightBit) in [("A: b\n\n.x\n", false), ("A: b\r\n\r\nü", true)] {
            let message = try #require(notice(failed(.address(sender), content, isWhole: true)))
            let parsed = try #require(Parsed(message))
            #expect(
                parsed.parts[2].fields == [
                    "Content-Type: message/rfc822",
                    "Content-Transfer-Encoding: \(isEightBit ? "8bit" : "7bit")",
                ])
            #expect(parsed.parts[2].body == content.replacing("\r\n", with: "\n").replacing("\n", with: "\r\n"))
            #expect(message.isEightBit == isEightBit)
            #expect(parsed.header.contains("Content-Transfer-Encoding: 8bit") == isEightBit)
        }
        let long = String(repeating: "x", count: 999)
        let named = try takenApart(failed(.null, "A: ü\n\nx\n", isWhole: true))
        #expect(named.parts[2].fields[0] == "Content-Type: text/rfc822-headers")
        for content in ["A: b\n\na\rb\n", "A: b\n\na\0b\n", "A: b\n\n\(long)\n", "A: b\n\n\(long)"] {
            let parsed = try takenApart(failed(.null, content, isWhole: true))
            #expect(parsed.parts[2].fields[0] == "Content-Type: text/rfc822-headers")
            #expect(parsed.parts[2].body == "A: b\r\n")
        }
        var small = plan
        small.messageBytesMax = 9
        let parsed = try takenApart(failed(.null, "A: b\n\nabcd", isWhole: true), plan: small)
        #expect(parsed.parts[2].fields[0] == "Content-Type: text/rfc822-headers")
    }

    @Test("What is returned is bounded, at a line's end, and there is no third part without a header")
    func bounds() throws {
        var small = plan
        small.headerBytesMax = 12
        let parsed = try takenApart(failed(.null, "A: b\nC: d\nE: f\n\n"), plan: small)
        #expect(parsed.parts[2].body == "A: b\r\nC: d\r\n")
        for content in ["", "\n", "\r\nbody\r\n"] {
            let parsed = try takenApart(failed(.null, content))
            #expect(parsed.parts.count == 2)
        }
    }
}
