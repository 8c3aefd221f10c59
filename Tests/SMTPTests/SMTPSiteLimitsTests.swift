import Mail
import SMTP
import Testing

/// Which bounds are another site's too.
@Suite("SMTP server: bounds of another site")
struct SMTPSiteLimitsTests {
    /// One message, pipelined as the client session does.
    private func transaction(to local: String, content: String = "copy", text: String = "x\r\n") -> String {
        "MAIL FROM:<> XNAME=n XCONTENT=\(content)\r\nRCPT TO:<\(local)@example.test> XMAILBOX=\(local)@example.test\r\n"
            + "BDAT \(text.utf8.count) LAST\r\n\(text)"
    }

    private func logInAsUser(_ server: TestedServer) {
        server.receive("EHLO c\r\n")
        server.receive("AUTH PLAIN AGFAZXhhbXBsZS50ZXN0AHNlY3JldA==\r\n")
        server.output = ""
    }

    @Test("A site sends as many messages on a connection as it has, a user so many")
    func transactions() {
        let limits = SMTPLimits(transactionsMax: 3)
        let server = TestedServer.ofSite(limits: limits)
        for _ in 0..<10 { server.receive(transaction(to: "a")) }
        #expect(!server.isClosed && server.messages.count == 10)
        let other = TestedServer(.submission, limits: limits)
        logInAsUser(other)
        for _ in 0..<4 { other.receive("MAIL FROM:<a@example.test>\r\nRSET\r\n") }
        #expect(other.isClosed && other.output.hasSuffix("421 4.7.0 too many messages on one connection\r\n"))
    }

    @Test("A site may wait for something to send, a user only so long")
    func idleCommands() {
        let limits = SMTPLimits(commandsWithoutMailMax: 3)
        let server = TestedServer.ofSite(limits: limits)
        for _ in 0..<50 { server.receive("NOOP\r\nRSET\r\n") }
        #expect(!server.isClosed)
        let other = TestedServer(.submission, limits: limits)
        logInAsUser(other)
        for _ in 0..<4 { other.receive("NOOP\r\n") }
        #expect(other.isClosed && other.output.hasSuffix("421 4.7.0 too many commands without a message\r\n"))
    }

    @Test("A site with many accounts that are unknown here is told so for each, and the others' messages are taken")
    func unknownAccounts() {
        let server = TestedServer.ofSite(limits: SMTPLimits(errorsMax: 2, refusedRecipientsMax: 2))
        server.receive(String(repeating: transaction(to: "nobody"), count: 40))
        let refused = "250 2.1.0 sender ok\r\n550 5.1.1 no such user\r\n503 5.5.1 no valid recipients\r\n"
        #expect(server.output == String(repeating: refused, count: 40))
        server.output = ""
        server.receive(transaction(to: "a"))
        #expect(server.output.hasSuffix("250 2.0.0 message accepted\r\n") && server.messages.count == 1)
    }

    @Test("A user who guesses addresses is sent away, also where sites are taken")
    func guessingUser() {
        let server = TestedServer(.submission, limits: SMTPLimits(refusedRecipientsMax: 2)) { $0.takesSites = true }
        logInAsUser(server)
        server.receive("MAIL FROM:<a@example.test>\r\n")
        for _ in 0..<3 { server.receive("RCPT TO:<nobody@example.test>\r\n") }
        #expect(server.isClosed && server.output.hasSuffix("421 4.7.0 too many unknown recipients\r\n"))
    }

    @Test("A site that says nothing sensible is sent away in the end")
    func errors() {
        let server = TestedServer.ofSite(limits: SMTPLimits(errorsMax: 2))
        server.receive(String(repeating: "FOO\r\n", count: 10_000))
        #expect(!server.isClosed)
        server.receive("FOO\r\n")
        #expect(server.isClosed && server.output.hasSuffix("421 4.7.0 too many errors\r\n"))
    }

    @Test(
        "A site's message is bounded as everybody's, with room for the fields on top, whether it says its size or not")
    func size() {
        let server = TestedServer.ofSite(limits: SMTPLimits(messageBytesMax: 1000))
        let most = 1000 + (64 << 10)
        server.receive("MAIL FROM:<> SIZE=\(most + 1) XNAME=n XCONTENT=copy\r\n")
        #expect(server.output == "552 5.3.4 message is too big\r\n")
        for (count, isTaken) in [(most, true), (most + 1, false)] {
            server.output = ""
            server.receive(transaction(to: "a", text: String(repeating: "x", count: count)))
            #expect(
                server.output.hasSuffix(isTaken ? "250 2.0.0 message accepted\r\n" : "552 5.3.4 message is too big\r\n")
            )
        }
        #expect(server.messages.map(\.count) == [most] && !server.isClosed)
    }

    @Test("A site's command lines are bounded, and its lines of text where the text is not taken as it is")
    func lines() {
        let server = TestedServer.ofSite(limits: SMTPLimits(commandLineBytesMax: 512, textLineBytesMax: 1000))
        server.receive("MAIL FROM:<> XNAME=n XCONTENT=copy XPATH=\(String(repeating: "a,", count: 300))b\r\n")
        #expect(server.output == "500 5.5.2 line too long\r\n")
        let long = String(repeating: "x", count: 1100) + "\r\n"
        for (content, isTaken) in [("copy", true), ("tombstone", false)] {
            server.output = ""
            server.receive(transaction(to: "a", content: content, text: long))
            let reply =
                isTaken ? "250 2.0.0 message accepted\r\n" : "500 5.6.0 message holds a line that is too long\r\n"
            #expect(server.output.hasSuffix(reply))
        }
    }
}
