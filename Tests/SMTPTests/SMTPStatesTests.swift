import Mail
import SASL
import SMTP
import Testing

/// Every command thrown at every state of every service: one reply, no trap, and success only where the rules allow it.
@Suite("SMTP server: every command at every state")
struct SMTPStatesTests {
    static let commands = [
        "EHLO c", "HELO c", "LHLO c", "EHLO", "MAIL FROM:<a@b.c>", "MAIL FROM:<a@b.c> XNAME=n", "MAIL",
        "RCPT TO:<a@example.test>", "RCPT TO:<a@example.test> XMAILBOX=a@example.test", "RCPT", "DATA", "BDAT 0",
        "BDAT 0 LAST", "BDAT", "BDAT x", "BDAT 99999999999999999999", "RSET", "NOOP", "VRFY a", "EXPN a", "HELP",
        "QUIT", "STARTTLS", "ETRN example.org", "ETRN", "ATRN", "ATRN example.org", "ATRN ,", "AUTH PLAIN",
        "AUTH PLAIN AGEAYg==", "AUTH", "AUTH FOO", "GET / HTTP/1.1", "", " ", "*",
        "=", ".", "FOO", "MAIL FROM:<", "RCPT TO:<@", "\u{0}", "\r", "a\nb",
    ]

    static let everywhere: SMTPState.Commands = [.free, .hello]
    static let greeted = everywhere.union([.mail, .startTLS, .login])
    static let recipient = everywhere.union([.recipient, .data, .chunk])

    static let states = [
        SMTPState("connected", "", everywhere.union(.startTLS)),
        SMTPState("after an error", "FOO\r\n", everywhere.union(.startTLS)),
        SMTPState("greeted", "#\r\n", greeted),
        SMTPState("sender", "#\r\n$\r\n", everywhere.union(.recipient)),
        SMTPState("recipient", "#\r\n$\r\n%\r\n", recipient),
        SMTPState(
            "no valid recipient", "#\r\n$\r\nRCPT TO:<nobody@example.test>\r\n", everywhere.union(.recipient)),
        SMTPState("chunks", "#\r\n$\r\n%\r\nBDAT 4\r\nab\r\n", everywhere.union(.chunk)),
        SMTPState("after a message", "#\r\n$\r\n%\r\nBDAT 4 LAST\r\nab\r\n", greeted),
        SMTPState("after a refused chunk", "#\r\n$\r\n%\r\nBDAT 2\r\na\n\r\n", greeted),
        SMTPState("logged in", "#\r\nAUTH PLAIN AGEAYg==\r\n", everywhere.union([.mail, .startTLS, .turn]), clients),
        SMTPState("in a login", "#\r\nAUTH LOGIN\r\n", [], clients),
        SMTPState("in a SCRAM exchange", "#\r\nAUTH SCRAM-SHA-256 biwsbj1hLHI9YWJj\r\n", [], clients),
        SMTPState("after STARTTLS", "#\r\nSTARTTLS\r\n", everywhere, clients),
        SMTPState(
            "greeted after STARTTLS", "#\r\nSTARTTLS\r\n#\r\n", everywhere.union([.mail, .login]), clients),
        SMTPState(
            "not logged in where that is required", "#\r\n", everywhere.union([.startTLS, .login]), [.submission]
        ) {
            $0.requiresAuthentication = true
        },
        SMTPState(
            "logged in where that is required", "#\r\nAUTH PLAIN AGEAYg==\r\n",
            everywhere.union([.mail, .startTLS, .turn]), [.submission]
        ) {
            $0.requiresAuthentication = true
        },
        SMTPState("plain where a login needs TLS", "#\r\n", everywhere.union(.startTLS), [.submission]) {
            $0.requiresAuthentication = true
            $0.requiresTLSForAuthentication = true
        },
    ]

    private static let clients: [SMTPService] = [.mx, .submission, .lmtp]

    @Test(
        "A command succeeds in its states only, is answered once, and leaves a session that goes on or ends",
        arguments: states)
    func everyCommand(_ state: SMTPState) {
        for (service, command) in state.cases(Self.commands) {
            let server = state.server(service)
            server.receive(command + "\r\n")
            state.check(server.output, to: command, service)
            checkAlive(server, "\(service) \(command)")
        }
    }

    /// A session that was not ended still answers, once a login that may be open is cancelled and a text ended.
    private func checkAlive(_ server: TestedServer, _ what: String) {
        guard !server.isClosed, !server.hasTurned else { return }
        server.receive("*\r\n")
        server.receive(".\r\n")
        server.output = ""
        server.receive("NOOP\r\n")
        #expect(server.output == "250 2.0.0 ok\r\n", "\(what): \(server.output)")
    }

    @Test("A command inside a message is text")
    func insideMessage() {
        let state = SMTPState("in a message", "#\r\n$\r\n%\r\nDATA\r\n", [])
        for (service, command) in state.cases(Self.commands) {
            let server = state.server(service)
            server.receive(command + "\r\n")
            #expect(server.output == "" || command == ".", "\(service) \(command): \(server.output)")
            server.receive("\r\n.\r\n")
            let isClean = !["\r", "a\nb"].contains(command)
            #expect(server.output.hasPrefix(isClean ? "250 2.0.0" : "550 5.6.11"), "\(command): \(server.output)")
            checkAlive(server, "\(service) \(command)")
        }
    }

    @Test("While a message is stored no command is answered before it")
    func waitingForStorage() {
        let state = SMTPState("greeted", "#\r\n", Self.greeted)
        for (service, command) in state.cases(Self.commands) {
            let server = state.server(service)
            server.storesLater = true
            server.receive(state.prepared("$\r\n%\r\nBDAT 4 LAST\r\nab\r\n", service))
            server.output = ""
            server.receive(command + "\r\n")
            #expect(server.output == "" && !server.isClosed, "\(service) \(command): \(server.output)")
            server.store()
            let (first, rest) = server.output.firstReply
            #expect(first.hasPrefix("250 2.0.0"), "\(service) \(command): \(server.output)")
            state.check(rest, to: command, service)
        }
    }

    @Test("RFC 5321 §3.8: a draining server says 421 at once, or when the transaction under way is over")
    func draining() {
        let idle = TestedServer(.mx)
        idle.receive("EHLO c\r\n")
        idle.output = ""
        idle.drain()
        #expect(idle.output.hasPrefix("421 4.3.2 ") && idle.isClosed)

        let state = SMTPState("recipient", "#\r\n$\r\n%\r\n", Self.recipient)
        for (service, command) in state.cases(Self.commands) where command != "DATA" {
            let server = state.server(service)
            server.drain()
            #expect(server.output == "" && !server.isClosed)
            server.receive(command + "\r\n")
            let (first, rest) = server.output.firstReply
            state.check(first, to: command, service)
            let endsTransaction =
                ["RSET", "BDAT 0 LAST"].contains(command)
                || SMTPState.Commands.hello.words(service).contains(command)
            #expect(rest.hasPrefix("421 4.3.2 ") == endsTransaction, "\(service) \(command): \(server.output)")
            #expect(!endsTransaction || server.isClosed, "\(service) \(command)")
        }
    }
}

extension String {
    /// The first reply with all its lines, and what follows it.
    fileprivate var firstReply: (String, String) {
        let lines = split(separator: "\r\n")
        let end = (lines.firstIndex { $0.dropFirst(3).first == " " } ?? lines.count - 1) + 1
        let join = { (part: ArraySlice<Substring>) in part.map { $0 + "\r\n" }.joined() }
        return (join(lines.prefix(end)), join(lines.dropFirst(end)))
    }
}
