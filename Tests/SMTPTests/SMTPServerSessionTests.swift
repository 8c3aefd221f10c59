import Mail
import SASL
import SMTP
import Testing

/// What any client may do to a session, whatever its state.
@Suite("SMTP server: odd clients")
struct SMTPServerSessionTests {
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
