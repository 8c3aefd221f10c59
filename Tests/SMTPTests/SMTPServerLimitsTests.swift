import Mail
import SMTP
import Testing

/// What would be too long for a dialogue.
@Suite("SMTP server: bounds")
struct SMTPServerLimitsTests {
    private let limits = SMTPLimits(messageBytesMax: 1000)
    private let piece = String(repeating: "x", count: 1 << 16)

    @Test(
        "A refused text over the bound ends the connection with what was wrong, once per recipient in LMTP",
        arguments: [(SMTPService.mx, 1), (.lmtp, 2)])
    func refusedText(service: SMTPService, replyCount: Int) {
        let server = TestedServer(service, limits: limits, recipients: ["a@example.test", "b@example.test"])
        server.receive("DATA\r\n")
        server.output = ""
        for _ in 0..<20 where !server.isClosed { server.receive(piece) }
        let reply = "552 5.3.4 message is too big\r\n"
        #expect(server.isClosed && server.output == String(repeating: reply, count: replyCount))
    }

    @Test("A text refused for its line ends is told so too when it does not end")
    func bareLineEnds() {
        let server = TestedServer(.mx, limits: limits, recipients: ["a@example.test"])
        server.receive("DATA\r\n")
        server.output = ""
        server.receive("bare\nline\r\n")
        for _ in 0..<20 where !server.isClosed { server.receive(piece) }
        #expect(server.isClosed && server.output.hasPrefix("550 5.6.11 "))
    }

    @Test("RFC 5321 §4.5.3.2: single bytes of a text are no progress, a kibibyte and the end are")
    func progressOfText() {
        let server = TestedServer(.mx, recipients: ["a@example.test"])
        server.receive("DATA\r\n")
        let before = server.progressCount
        for _ in 0..<1023 { server.receive("x") }
        #expect(server.progressCount == before)
        server.receive("x")
        #expect(server.progressCount == before + 1)
        server.receive("\r\n")
        #expect(server.progressCount == before + 1)
        server.receive(".\r\n")
        #expect(server.progressCount == before + 2 && server.messages.count == 1)
    }

    @Test("RFC 5321 §4.5.3.2: single bytes of a chunk are no progress, also of one that is refused")
    func progressOfChunks() {
        for recipients in [["a@example.test"], []] {
            let server = TestedServer(.mx, recipients: recipients)
            server.receive("BDAT 1025\r\n")
            let before = server.progressCount
            for _ in 0..<1023 { server.receive("x") }
            #expect(server.progressCount == before)
            server.receive("x")
            #expect(server.progressCount == before + 1)
            server.receive("x")
            #expect(server.progressCount == before + 2)
        }
    }

    @Test("RFC 5321 §4.5.3.2: the rest of a refused line is no progress, and neither is half a command")
    func progressOfLines() {
        let server = TestedServer(.mx)
        for _ in 0..<200 { server.receive(String(repeating: "x", count: 1000)) }
        #expect(server.progressCount == 0)
        server.receive("\r\nNO")
        #expect(server.progressCount == 0)
        server.receive("OP\r\n")
        #expect(server.progressCount == 1)
    }

    @Test("A storage node takes lines and texts of the cluster's own that no client may send")
    func hop() {
        let server = TestedServer(
            .cluster, limits: .hop(transactionsInFlightMax: 4), recipients: ["a@example.test"])
        let name = String(repeating: "+C3+BC", count: 40)
        server.receive("RCPT TO:<\(String(repeating: "b", count: 64))@example.test> XMAILBOX=\(name)@example.test\r\n")
        #expect(server.output == "250 2.1.5 recipient ok\r\n")
        let line = String(repeating: "x", count: (2 << 20) - 2) + "\r\n"
        let hops = String(repeating: "Received: x\r\n", count: 1000)
        server.output = ""
        server.receive("BDAT \(line.utf8.count + hops.utf8.count) LAST\r\n" + hops + line)
        #expect(server.output == String(repeating: "250 2.0.0 message accepted\r\n", count: 2))
    }

    @Test("A storage node bears with a frontend's errors")
    func hopErrors() {
        let server = TestedServer(.cluster, limits: .hop(transactionsInFlightMax: 4))
        server.receive(String(repeating: "FOO\r\n", count: 5000))
        #expect(!server.isClosed)
    }
}
