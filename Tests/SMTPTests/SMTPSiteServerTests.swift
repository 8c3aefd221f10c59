import Mail
import SASL
import SMTP
import Testing

/// What another site may say once it has logged in, and what nobody else may.
@Suite("SMTP server: another site")
struct SMTPSiteServerTests {
    private let mail = "MAIL FROM:<> XNAME=n XCONTENT=copy\r\n"
    private let recipient = "RCPT TO:<a@example.test> XMAILBOX=a@example.test\r\n"

    private func said(_ text: String, _ server: TestedServer = .ofSite()) -> String {
        server.output = ""
        server.receive(text)
        return server.output
    }

    @Test("Copies are offered to sites by submission only, where it takes them", arguments: SMTPService.allCases)
    func offer(_ service: SMTPService) {
        for takesSites in [true, false] {
            let server = TestedServer(service) {
                $0 = SMTPServerSettings(hostname: "mx.example.test", service: service, takesSites: takesSites)
            }
            server.receive(service.isLMTP ? "LHLO c\r\n" : "EHLO c\r\n")
            #expect(server.output.hasSuffix("\r\n"))
            #expect(server.output.contains("XSITE DIGEST OFFER\r\n") == (takesSites && service == .submission))
        }
    }

    @Test(
        "A site's parameters are nobody else's, whether they have logged in or not",
        arguments: ["", "AUTH PLAIN AGFAZXhhbXBsZS50ZXN0AHNlY3JldA==\r\n"],
        ["XNAME=n", "XREPEAT", "XALIKE", "XCONTENT=copy", "XPATH=a"])
    func parametersOfOthers(login: String, parameter: String) {
        let server = TestedServer(.submission) { $0.takesSites = true }
        server.receive("EHLO c\r\n")
        server.receive(login)
        #expect(said("MAIL FROM:<> \(parameter)\r\n", server) == "555 5.5.4 parameter not known\r\n")
        server.receive("MAIL FROM:<>\r\n")
        for parameter in ["XMAILBOX=a@example.test", "XFOR=b"] {
            let reply = said("RCPT TO:<a@example.test> \(parameter)\r\n", server)
            #expect(reply == "555 5.5.4 parameter not known\r\n")
        }
        #expect(said("RCPT TO:<a@example.test>\r\n", server) == "250 2.1.5 recipient ok\r\n")
    }

    @Test("What a site says of a message is in the envelope, and its mailboxes in the question and the recipients")
    func envelope() throws {
        let server = TestedServer.ofSite()
        server.receive("MAIL FROM:<> SIZE=3 XNAME=1.x XREPEAT XCONTENT=copy XPATH=a,b BODY=8BITMIME\r\n")
        server.receive("RCPT TO:<a~2@example.test> XMAILBOX=a~2@example.test\r\n")
        server.receive("RCPT TO:<nobody@example.test> XMAILBOX=nobody@example.test\r\n")
        server.receive("RCPT TO:<\"a b\"@example.test> XMAILBOX=a+20b@example.test\r\n")
        server.receive("BDAT 3 LAST\r\nx\r\n")
        let ok = "250 2.1.5 recipient ok\r\n"
        #expect(
            server.output
                == "250 2.1.0 sender ok\r\n\(ok)550 5.1.1 no such user\r\n\(ok)250 2.0.0 message accepted\r\n")
        let envelope = try #require(server.envelopes.last)
        #expect(envelope.name == MessageIdentity("1.x") && envelope.isRepeat && envelope.content == .copy)
        #expect(envelope.sitePath == SitePath("a,b") && envelope.user?.site == "b" && envelope.sender == .null)
        #expect(envelope.recipients.map(\.mailbox?.description) == ["a~2@example.test", "a b@example.test"])
        #expect(envelope.recipients.allSatisfy { $0.heldFor == nil })
        #expect(
            server.queries.map(\.mailbox?.local) == ["a~2", "nobody", "a b"]
                && server.queries.allSatisfy { $0.user?.site == "b" })
        #expect(server.messages.map(\.text) == ["x\r\n"])
    }

    @Test(
        "The site that sends is in the path at its end, whether it says so or not",
        arguments: [("", "b"), (" XPATH=-", "b"), (" XPATH=b", "b"), (" XPATH=a", "a,b"), (" XPATH=b,a", "b,a,b")])
    func path(parameter: String, path: String) {
        let server = TestedServer.ofSite()
        server.receive("MAIL FROM:<> XNAME=n XCONTENT=copy\(parameter)\r\n\(recipient)BDAT 0 LAST\r\n")
        #expect(server.envelopes.last?.sitePath?.text == path)
    }

    @Test(
        "A path, name, content or mailbox that is none is refused",
        arguments: ["XPATH", "XPATH=a,,b", "XPATH=.a", "XPATH=a XPATH=b", "XCONTENT=mail", "XCONTENT", "XREPEAT=yes"])
    func malformed(parameter: String) {
        #expect(said("MAIL FROM:<> XNAME=n \(parameter)\r\n").hasPrefix("501 5.5.4 "))
        #expect(said("MAIL FROM:<> XCONTENT=copy XNAME=a/b\r\n").hasPrefix("501 5.5.4 "))
        #expect(
            said(mail + "RCPT TO:<a@example.test> XMAILBOX=a\r\n").hasSuffix("\r\n501 5.5.4 parameter is malformed\r\n")
        )
    }

    @Test("A site names every message and every mailbox, and keeps nothing here for others")
    func missing() {
        #expect(said("MAIL FROM:<> XCONTENT=copy\r\n") == "501 5.5.4 XNAME is missing\r\n")
        let server = TestedServer.ofSite()
        server.receive(mail)
        #expect(said("RCPT TO:<a@example.test>\r\n", server) == "501 5.5.4 XMAILBOX is missing\r\n")
        let held = said("RCPT TO:<a@example.test> XMAILBOX=a@example.test XFOR=c\r\n", server)
        #expect(held == "555 5.5.4 parameter not known\r\n")
        #expect(server.queries.isEmpty)
        for parameter in ["AUTH=<>", "XALIKE"] {
            #expect(said("MAIL FROM:<> XNAME=n XCONTENT=copy \(parameter)\r\n") == "555 5.5.4 parameter not known\r\n")
        }
    }

    @Test("A site sends copies and tombstones, and asks; nothing else", arguments: HopContent.allCases)
    func contents(_ content: HopContent) {
        let server = TestedServer.ofSite()
        let isTaken = [.copy, .tombstone, .digest, .offer].contains(content)
        let reply = said("MAIL FROM:<> XNAME=n XCONTENT=\(content.rawValue)\r\n", server)
        #expect(reply.hasPrefix(isTaken ? "250 " : "501 5.5.4 a site sends "))
        server.receive(recipient)
        server.receive("BDAT 3 LAST\r\nx\r\n")
        #expect(server.messages.count == (isTaken ? 1 : 0))
    }

    @Test("A site cannot log in where sites are not taken", arguments: [SMTPService.mx, .submission, .lmtp])
    func notTaken(_ service: SMTPService) {
        let server = TestedServer(service)
        server.receive(service.isLMTP ? "LHLO c\r\n" : "EHLO c\r\n")
        let login = "AUTH PLAIN AGJAc2l0ZS5pbnZhbGlkAHNlY3JldA==\r\n"
        #expect(said(login, server) == "535 5.7.8 wrong user or password\r\n")
        #expect(said(mail, server) == "555 5.5.4 parameter not known\r\n")
        #expect(said(login, .ofSite()) == "503 5.5.1 already authenticated\r\n")
    }

    @Test(
        "A site cannot send ordinary mail",
        arguments: ["MAIL FROM:<>", "MAIL FROM:<a@b.c> SIZE=3", "MAIL FROM:<> XNAME=n"])
    func ordinaryMail(command: String) {
        let server = TestedServer.ofSite()
        #expect(said(command + "\r\n", server).hasPrefix("501 5.5.4 "))
        #expect(said("RCPT TO:<a@example.test>\r\n", server) == "503 5.5.1 MAIL first\r\n")
    }

    @Test("A tombstone may come by DATA; a copy, which is taken byte for byte, by BDAT only")
    func data() {
        for content in ["tombstone", "copy"] {
            let server = TestedServer.ofSite()
            server.receive("MAIL FROM:<> XNAME=n XCONTENT=\(content)\r\n\(recipient)")
            let reply = said("DATA\r\n", server)
            #expect(reply.hasPrefix(content == "copy" ? "503 5.5.1 a copy comes by BDAT" : "354 "))
            if content == "tombstone" { server.receive("1.x\r\n.\r\n") }
            #expect(server.messages.map(\.text) == (content == "copy" ? [] : ["1.x\r\n"]))
        }
    }

    @Test(
        "RFC 3207 §4: STARTTLS behind a copy whose outcome is awaited is refused, for its reply would come in between")
    func startTLSBehindCopy() {
        let server = TestedServer.ofSite()
        server.storesLater = true
        server.receive(mail + recipient + "BDAT 3 LAST\r\nx\r\nSTARTTLS\r\n")
        server.output = ""
        server.store()
        #expect(server.output == "250 2.0.0 message accepted\r\n503 5.5.1 not during a message\r\n")
    }

    @Test("RFC 3207 §4.2: a site that logged in before STARTTLS has not logged in after it", arguments: [true, false])
    func startTLS(requiresAuthentication: Bool) {
        let server = TestedServer.ofSite(requiresAuthentication: requiresAuthentication)
        server.receive("STARTTLS\r\n")
        server.receive("EHLO c\r\n")
        #expect(server.output.contains("250-XSITE DIGEST OFFER\r\n") && server.output.contains("250-AUTH "))
        #expect(said(mail, server).hasPrefix(requiresAuthentication ? "530 5.7.0" : "555 5.5.4"))
        server.receive("AUTH PLAIN AGJAc2l0ZS5pbnZhbGlkAHNlY3JldA==\r\n")
        #expect(said(mail, server) == "250 2.1.0 sender ok\r\n")
    }
}
