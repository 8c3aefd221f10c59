import Mail
import QMTP
import Testing

@Suite("QMTP server")
struct QMTPServerSessionTests {
    private func run(
        _ packages: [[UInt8]], _ limits: QMTPLimits = QMTPLimits(),
        verdict: @escaping (String) -> Verdict = { _ in .accepted }
    ) -> Seen {
        let server = TestedServer(.qmtp, limits)
        server.verdict = verdict
        server.receive(packages.flatMap { $0 })
        return server.seen
    }

    @Test("A message of LF lines comes with CRLF, and its envelope after it")
    func lineFeeds() throws {
        let seen = run([Package.qmtp("\nSubject: x\n\ny\n", "a@b.c", ["d@e.f"])])
        #expect(seen.messages == ["Subject: x\r\n\r\ny\r\n"])
        let envelope = try #require(seen.envelopes.first)
        #expect(envelope.sender == .address(EmailAddress(local: "a", domain: "b.c")))
        #expect(envelope.recipients == [EmailAddress(local: "d", domain: "e.f")])
        #expect(envelope.byteCount == 17 && !envelope.endsInsideLine)
        #expect(seen.output == accepted)
    }

    @Test("A message whose first byte is CR has CRLF lines")
    func carriageReturns() {
        let seen = run([Package.qmtp("\rSubject: x\r\n\r\ny\r\n", "", ["d@e.f"])])
        #expect(seen.messages == ["Subject: x\r\n\r\ny\r\n"])
        #expect(seen.envelopes.first?.sender == .null)
    }

    @Test("A last line without an end is told, not ended")
    func partialLine() {
        let seen = run([Package.qmtp("\nx", "", ["d@e.f"]), Package.qmtp("\n", "", ["d@e.f"])])
        #expect(seen.messages == ["x", ""])
        #expect(seen.envelopes.map(\.endsInsideLine) == [true, false])
    }

    @Test("One reply per recipient, in order, of each of many messages")
    func replies() {
        let seen = run(
            [Package.qmtp("\nx\n", "", ["k@e.f", "d@e.f", "z@e.f"]), Package.qmtp("\ny\n", "", ["k@e.f"])]
        ) { name in
            switch name {
            case "d@e.f": .refused(Reason(550, "5.1.1", "no such"))
            case "z@e.f": .deferred(Reason(451, "4.3.0", "later"))
            default: .accepted
            }
        }
        #expect(seen.output == accepted + reply("D550 5.1.1 no such") + reply("Z451 4.3.0 later") + accepted)
        #expect(!seen.isClosed)
    }

    @Test("However the bytes are cut, the outcome is the same", arguments: 1...40)
    func cuts(piece: Int) {
        let bytes =
            Package.qmtp("\nSubject: x\n\ny\n", "a@b.c", ["d@e.f", "bad"])
            + Package.qmtp("\rx\r\ny\r", "a@b.c", ["d@e.f"])
            + Package.qmtp("\nz\n", "a@b.c", ["d@e.f"])
        let (whole, cut) = (TestedServer(.qmtp), TestedServer(.qmtp))
        whole.receive(bytes)
        cut.receive(bytes, piece: piece)
        #expect(whole.seen == cut.seen)
        #expect(cut.isBetweenMessages)
        #expect(cut.heldMax <= piece)
    }

    @Test(
        "A CR or LF that ends no line is refused for every recipient, and the next message is taken",
        arguments: ["\na\rb\n", "\na\r\n", "\na\r", "\ra\nb\r\n", "\ra\rb\r\n", "\ra\r", "\r\n", "\ra\r\r\n"])
    func bareLineEnds(text: String) {
        let seen = run([Package.qmtp(text, "", ["d@e.f", "g@e.f"]), Package.qmtp("\nx\n", "", ["d@e.f"])])
        let refusal = reply("D550 5.6.11 message has a CR or LF that ends no line")
        #expect(seen.output == refusal + refusal + accepted)
        #expect(seen.messages == ["x\r\n"])
        #expect(seen.abandoned == 1)
    }

    @Test("A message that is too big is read past and refused; one of the bound is taken")
    func tooBig() {
        let limits = QMTPLimits(messageBytesMax: 5)
        let refused = reply("D552 5.3.4 message is too big")
        let seen = run(
            [Package.qmtp("\nxxx\n", "", ["d@e.f"]), Package.qmtp("\nxxxxx\n", "", ["d@e.f"])], limits)
        #expect(seen.messages == ["xxx\r\n"])
        #expect(seen.output == accepted + refused && seen.abandoned == 0)
    }

    @Test("A message's size is counted with CRLF, as it goes on from here", arguments: [1, 3, .max])
    func sizeWithLineEnds(piece: Int) {
        for (text, isTaken) in [("\n\n\n\n", true), ("\n\n\n\n\n", false), ("\rxx\r\n", true), ("\rxxx\r\n", false)] {
            let server = TestedServer(.qmtp, QMTPLimits(messageBytesMax: text.first == "\n" ? 6 : 4))
            server.receive(Package.qmtp(text, "", ["d@e.f"]), piece: piece)
            #expect(server.seen.messages.count == (isTaken ? 1 : 0), "\(text.debugDescription)")
            #expect(server.seen.output == (isTaken ? accepted : reply("D552 5.3.4 message is too big")))
        }
    }

    @Test("RFC 5321 §4.5.3.1.6: a line is bounded with its CRLF, also one without an end", arguments: [1, 7, .max])
    func longLine(piece: Int) {
        let limits = QMTPLimits(textLineBytesMax: 1000)
        let longest = String(repeating: "x", count: 998)
        for (text, isTaken) in [
            ("\n\(longest)\n\(longest)\n", true), ("\ny\n\(longest)x\nz\n", false), ("\n\(longest)xxx", false),
            ("\r\(longest)\r\n\(longest)\r\n", true), ("\r\(longest)x\r\n", false),
        ] {
            let server = TestedServer(.qmtp, limits)
            server.receive(Package.qmtp(text, "", ["d@e.f"]), piece: piece)
            #expect(server.seen.messages.count == (isTaken ? 1 : 0), "\(text.count)")
            #expect(
                server.seen.output == (isTaken ? accepted : reply("D500 5.6.0 message has a line that is too long")))
        }
    }

    @Test("A message with several faults is refused for the same one however it is cut", arguments: 1...12)
    func severalFaults(piece: Int) {
        let server = TestedServer(.qmtp, QMTPLimits(messageBytesMax: 6))
        server.receive(Package.qmtp("\rab\nc\rd\n", "bad", ["d@e.f"]), piece: piece)
        #expect(server.seen.output == reply("D552 5.3.4 message is too big"))
    }

    @Test("What the driver cannot take to its end is read past, told to all recipients, and the next message is taken")
    func refusedInside() {
        for kind in TestedServer.Kind.allCases {
            let server = TestedServer(kind)
            server.refuseBody = .deferred(Reason(452, "4.3.1", "no room"))
            let package = kind == .qmtp ? Package.qmtp : Package.qmqp
            server.receive(package(kind == .qmtp ? "\nabc\n" : "abc\n", "", ["d@e.f", "g@h.i"]), piece: 2)
            let answer = reply("Z452 4.3.1 no room")
            #expect(server.seen.output == (kind == .qmtp ? answer + answer : answer))
            #expect(server.seen.messages.isEmpty && server.seen.abandoned == 0)
            #expect(server.seen.isClosed == (kind == .qmqp))
            guard kind == .qmtp else { continue }
            server.refuseBody = nil
            server.receive(package("\nabc\n", "", ["d@e.f"]))
            #expect(server.seen.output.hasSuffix(accepted) && server.seen.messages == ["abc\r\n"])
        }
    }

    @Test("A message far beyond the bound ends the connection before it is read")
    func absurd() {
        let server = TestedServer(.qmtp, QMTPLimits(messageBytesMax: 1000))
        server.receive("99999999:".bytes)
        #expect(server.seen.isClosed && server.seen.output.contains("Z451 4.5.0 protocol violation: a length above"))
    }

    @Test("Recipients beyond the limit are put off one by one; very many end the connection")
    func recipientsMax() {
        let limits = QMTPLimits(recipientsMax: 2)
        let names = (1...3).map { "r\($0)@e.f" }
        let seen = run([Package.qmtp("\nx\n", "", names)], limits)
        #expect(seen.output.hasPrefix(accepted + accepted) && seen.output.contains("Z452 4.5.3"))
        #expect(seen.envelopes.first?.recipients.count == 2)
        let many = run([Package.qmtp("\nx\n", "", Array(repeating: "a@b", count: 300))], limits)
        #expect(many.isClosed && many.output.contains("Z451 4.5.0 protocol violation: too many recipients"))
        #expect(many.envelopes.isEmpty)
    }

    @Test(
        "What is no address is refused alone, and nobody is asked for it",
        arguments: [
            "", "x", "@e.f", "x@", "a\nb@e.f", "a@e f", "a\u{7F}@b", String(repeating: "x", count: 1001) + "@b",
        ])
    func badRecipient(address: String) {
        let seen = run([Package.qmtp("\nx\n", "", [address, "d@e.f"])])
        #expect(seen.output.contains("D553 5.1.3 ") && seen.output.hasSuffix(accepted))
        #expect(seen.envelopes.first?.recipients == [EmailAddress(local: "d", domain: "e.f")])
    }

    @Test("Local parts are octets without quotes, split at the last at sign")
    func localParts() {
        let seen = run([Package.qmtp("\nx\n", "#@[]", ["a b@c@d.e"])])
        #expect(seen.envelopes.first?.recipients == [EmailAddress(local: "a b@c", domain: "d.e")])
        #expect(seen.envelopes.first?.sender == .address(EmailAddress(local: "#", domain: "[]")))
    }

    @Test("A sender that is no address refuses the message for all")
    func badSender() {
        let seen = run([Package.qmtp("\nx\n", "x", ["d@e.f", "g@e.f"])])
        #expect(seen.output.ranges(of: "D553 5.1.7 ").count == 2)
        #expect(seen.envelopes.isEmpty && seen.abandoned == 1)
    }

    @Test("A message for nobody has no reply")
    func nobody() {
        let seen = run([Package.qmtp("\nx\n", "", []), Package.qmtp("\ny\n", "", ["d@e.f"])])
        #expect(seen.output == accepted && seen.messages == ["y\r\n"])
    }

    @Test("A message that cannot be begun is read past, and put off for all")
    func cannotStart() {
        let server = TestedServer(.qmtp)
        server.start = .deferred(Reason(452, "4.3.1", "full"))
        server.receive(Package.qmtp("\nx\n", "", ["d@e.f"]))
        #expect(server.seen.output == reply("Z452 4.3.1 full") && server.seen.messages.isEmpty)
        #expect(server.isBetweenMessages)
    }

    @Test(
        "Bad framing ends the connection with a temporary reply, and stores nothing",
        arguments: [
            "GET / HTTP/1.0\r\n", ":x", "01:\n,", "-1:", "0:,", "3:abc,", "2:\nx;", "1:\n,1:a;", "1:\n,0:,3:9:a,",
            "1:\n,0:,2:0:,,", "1:\n,0:,4:0:,x,", "99999999999999999999:", " 1:\n,", "1:\n,0:,3:0:,;",
        ])
    func badFraming(text: String) {
        for piece in [1, Int.max] {
            let server = TestedServer(.qmtp)
            server.receive(text.bytes, piece: piece)
            #expect(server.seen.isClosed, "\(text)")
            #expect(server.seen.output.contains("Z451 4.5.0 protocol violation"))
            #expect(server.seen.envelopes.isEmpty)
            #expect(!server.isBetweenMessages)
        }
    }

    @Test("A reply is one line, whatever the reason holds")
    func replyText() {
        let seen = run([Package.qmtp("\nx\n", "", ["d@e.f"])]) { _ in
            .refused(Reason(550, "5.1.1", "no\r\n250 ü"))
        }
        #expect(seen.output == reply("D550 5.1.1 no??250 ??"))
    }

    @Test("A long body passes in bounded memory")
    func longBody() {
        let text = String(repeating: "x\n", count: 500_000)
        let server = TestedServer(.qmtp)
        server.receive(Package.qmtp("\n" + text, "", ["d@e.f"]), piece: 10_000)
        #expect(server.seen.envelopes.first?.byteCount == 1_500_000)
        #expect(server.heldMax <= 10_000)
    }
}
