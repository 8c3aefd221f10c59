import Mail
import QMTP
import Testing

@Suite("QMQP server")
struct QMQPServerSessionTests {
    private func run(
        _ bytes: [UInt8], _ limits: QMTPLimits = QMTPLimits(),
        verdict: @escaping (String) -> Verdict = { _ in .accepted }
    ) -> Seen {
        let server = TestedServer(.qmqp, limits)
        server.verdict = verdict
        server.receive(bytes)
        return server.seen
    }

    @Test("One message, one reply for all its recipients, and the end")
    func message() {
        let seen = run(Package.qmqp("Subject: x\n\ny\n", "a@b.c", ["d@e.f", "g@e.f"]))
        #expect(seen.messages == ["Subject: x\r\n\r\ny\r\n"])
        #expect(seen.envelopes.first?.recipients.count == 2)
        #expect(seen.output == accepted)
        #expect(seen.closing == .some(nil))
    }

    @Test("However the bytes are cut, the outcome is the same", arguments: 1...30)
    func cuts(piece: Int) {
        let bytes = Package.qmqp("Subject: x\n\ny", "a@b.c", ["d@e.f", "g@e.f"])
        let server = TestedServer(.qmqp)
        server.receive(bytes, piece: piece)
        #expect(server.seen == run(bytes))
        #expect(server.seen.envelopes.first?.endsInsideLine == true)
    }

    @Test("What follows the package is not looked at")
    func trailing() {
        let seen = run(Package.qmqp("x\n", "", ["d@e.f"]) + Package.qmqp("y\n", "", ["d@e.f"]))
        #expect(seen.messages == ["x\r\n"] && seen.isClosed)
    }

    @Test("The message's outcome is one for all")
    func outcome() {
        let seen = run(Package.qmqp("x\n", "", ["d@e.f", "z@e.f"])) {
            $0 == "z@e.f" ? .deferred(Reason(451, "4.3.0", "later")) : .accepted
        }
        #expect(seen.output == reply("Z451 4.3.0 later"))
    }

    @Test("Nobody, a bad address, a CR or too many recipients refuse the whole message")
    func refusals() {
        let limits = QMTPLimits(messageBytesMax: 10, recipientsMax: 2)
        #expect(run(Package.qmqp("x\n", "", []), limits).output.contains("D554 5.5.1 "))
        #expect(run(Package.qmqp("x\n", "", ["d@e.f", "bad"]), limits).output.contains("D553 5.1.3 "))
        #expect(run(Package.qmqp("x\n", "bad", ["d@e.f"]), limits).output.contains("D553 5.1.7 "))
        #expect(run(Package.qmqp("x\r\n", "", ["d@e.f"]), limits).output.contains("D550 5.6.11 "))
        #expect(run(Package.qmqp("x\n", "", ["a@b", "c@d", "e@f"]), limits).output.contains("D554 5.5.3 "))
        let big = run(Package.qmqp("1234567890\n", "", ["d@e.f"]), limits)
        #expect(big.output.contains("D552 5.3.4 ") && big.envelopes.isEmpty && big.isClosed)
    }

    @Test(
        "Bad framing ends the connection with a temporary reply, and stores nothing",
        arguments: [
            "x", "00:", "5:9:x,", "4:1:x;", "7:1:x,0:;", "6:1:x,0:,", "7:1:x,0:,;", "9:1:x,0:,5:a,", "2:1:",
        ])
    func badFraming(text: String) {
        for piece in [1, Int.max] {
            let server = TestedServer(.qmqp)
            server.receive(text.bytes, piece: piece)
            #expect(server.seen.isClosed, "\(text)")
            #expect(server.seen.output.contains("Z451 4.5.0 protocol violation"), "\(text)")
            #expect(server.seen.envelopes.isEmpty)
        }
    }
}
