import Mail
import SASL
import SMTP
import Testing

/// Every command at every state of every service: one reply, no trap, and the state that the rules allow.
@Suite("SMTP server: every command at every state")
struct SMTPServerSessionTests {
    /// What brings a fresh session into a state; `#` stands for the service's own hello.
    static let states: [(name: String, lines: String)] = [
        ("connected", ""), ("greeted", "#\r\n"), ("sender", "#\r\n@\r\n"), ("recipient", "#\r\n@\r\n%\r\n"),
        ("no valid recipient", "#\r\n@\r\nRCPT TO:<nobody@example.test>\r\n"),
        ("chunks", "#\r\n@\r\n%\r\nBDAT 4\r\nab\r\n"),
        ("after a message", "#\r\n@\r\n%\r\nBDAT 4 LAST\r\nab\r\n"),
        ("after a refused chunk", "#\r\n@\r\n%\r\nBDAT 2\r\na\n\r\n"),
        ("logged in", "#\r\nAUTH PLAIN AGEAYg==\r\n"), ("in a login", "#\r\nAUTH LOGIN\r\n"),
        ("in a message", "#\r\n@\r\n%\r\nDATA\r\n"), ("after an error", "FOO\r\n"),
    ]

    static let commands = [
        "EHLO c", "HELO c", "LHLO c", "EHLO", "MAIL FROM:<a@b.c>", "MAIL FROM:<a@b.c> XNAME=n", "MAIL",
        "RCPT TO:<a@example.test>",
        "RCPT TO:<a@example.test> XMAILBOX=a@example.test", "RCPT", "DATA", "BDAT 0", "BDAT 0 LAST", "BDAT", "BDAT x",
        "BDAT 99999999999999999999", "RSET", "NOOP", "VRFY a", "EXPN a", "HELP", "QUIT", "STARTTLS", "AUTH PLAIN",
        "AUTH PLAIN AGEAYg==",
        "AUTH", "AUTH FOO", "GET / HTTP/1.1", "", " ", "*", "=", ".", "FOO", "MAIL FROM:<", "RCPT TO:<@", "\u{0}", "\r",
        "a\nb",
    ]

    @Test("A command gets its replies and leaves a session that goes on or ends", arguments: SMTPService.allCases)
    func everywhere(_ service: SMTPService) {
        for (name, lines) in Self.states {
            for command in Self.commands {
                let server = TestedServer(service)
                for line in prepared(lines, service).split(separator: "\r\n") { server.receive(line + "\r\n") }
                server.output = ""
                server.receive(command + "\r\n")
                if name == "in a message" {
                    // A command inside a message is text.
                    server.receive("\r\n.\r\n")
                    #expect(server.output.hasPrefix("250") || server.output.hasPrefix("550"), "\(command) in \(name)")
                } else {
                    let replies = server.output.split(separator: "\r\n").filter { $0.dropFirst(3).first == " " }
                    #expect(replies.count == 1, "\(service) \(name) \(command): \(server.output)")
                }
                checkAlive(server, "\(service) \(name) \(command)")
            }
        }
    }

    private func prepared(_ lines: String, _ service: SMTPService) -> String {
        lines.replacing("#", with: service.isLMTP ? "LHLO c" : "EHLO c")
            .replacing("@", with: "MAIL FROM:<a>\(service == .cluster ? " XNAME=n" : "")").replacing(
                "<a>", with: "<a@b.c>"
            )
            .replacing(
                "%", with: "RCPT TO:<a@example.test>\(service == .cluster ? " XMAILBOX=a@example.test" : "")")
    }

    /// A session that was not ended still answers, once a login that may be open is cancelled and a text ended.
    private func checkAlive(_ server: TestedServer, _ what: String) {
        guard !server.isClosed else { return }
        server.receive("*\r\n")
        server.receive(".\r\n")
        server.output = ""
        server.receive("NOOP\r\n")
        #expect(server.output == "250 2.0.0 ok\r\n", "\(what): \(server.output)")
    }

    @Test("Every command with every possible byte in it gets one reply")
    func everyByte() {
        for byte in UInt8.min...UInt8.max where byte != 10 && byte != 13 {
            let server = TestedServer(.mx)
            server.receive("EHLO c\r\n")
            server.output = ""
            server.receive(bytes: "MAIL FROM:<a".bytes + [byte] + "b@c.d>\r\n".bytes)
            #expect(server.output.split(separator: "\r\n").count == 1, "byte \(byte): \(server.output)")
        }
    }

    @Test("A line without end is skipped in bounded memory, and ends the connection at last")
    func endlessLine() {
        let server = TestedServer(.mx)
        var heldMax = 0
        for _ in 0..<2000 where !server.isClosed {
            server.receive(String(repeating: "x", count: 1000))
            heldMax = max(heldMax, server.unreadCount)
        }
        #expect(server.isClosed && heldMax <= 4096)
    }

    @Test("RFC 2920: text that was sent before its 354 is not taken for commands")
    func earlyText() {
        let server = TestedServer(.mx)
        server.flushesEagerly = false
        server.receive("EHLO c\r\n")
        server.receive("MAIL FROM:<a@b.c>\r\nRCPT TO:<a@example.test>\r\n")
        server.meanwhile = "text before 354\r\n.\r\n"
        server.receive("DATA\r\n")
        #expect(server.isClosed && server.output.hasSuffix("554 5.5.0 improper pipelining\r\n"))
    }

    @Test("RFC 5321 §4.5.4: replies to a flood of commands are handed over as they gather")
    func outputIsBounded() {
        let server = TestedServer(.cluster)
        server.receive(String(repeating: "NOOP\r\n", count: 20_000))
        #expect(server.proceedCount > 5 && !server.isClosed)
    }
}
