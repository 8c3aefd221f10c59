import Mail
import QMTP
import Testing

@Suite("QMTP client")
struct QMTPClientSessionTests {
    private func send(_ session: inout QMTPClientSession, _ text: String, _ recipients: [String]) -> [UInt8] {
        let frame = session.begin(
            sender: "a@b.c".bytes, recipients: recipients.map(\.bytes), byteCount: text.utf8.count, lineEnds: .lf)
        return frame.head + text.bytes + frame.tail
    }

    private func events(_ session: inout QMTPClientSession, _ text: String, piece: Int = .max) -> [QMTPClientSession
        .Event]
    {
        var events: [QMTPClientSession.Event] = []
        var unread: [UInt8] = []
        var rest = text.bytes[...]
        while !rest.isEmpty {
            unread += rest.prefix(piece)
            rest = rest.dropFirst(min(piece, rest.count))
            while true {
                let step = unread.withUnsafeBytes { session.receive($0) }
                unread.removeFirst(step.consumed)
                if step.event == .needBytes { break }
                events.append(step.event)
                if case .violation = step.event { return events }
            }
        }
        return events
    }

    private func verdicts(_ events: [QMTPClientSession.Event]) -> [[Verdict]] {
        events.map { if case .replies(let replies) = $0 { replies.map(\.verdict) } else { [] } }
    }

    @Test("A message is written as the protocol has it")
    func frame() {
        var session = QMTPClientSession()
        let bytes = send(&session, "x\n", ["d@e.f", "g@e.f"])
        #expect(String(decoding: bytes, as: UTF8.self) == "3:\nx\n,5:a@b.c,16:5:d@e.f,5:g@e.f,,")
        #expect(session.unanswered == 1)
    }

    @Test("What the client writes, the server reads")
    func roundTrip() {
        var session = QMTPClientSession()
        let server = TestedServer(.qmtp)
        server.receive(send(&session, "x\n", ["d@e.f"]) + send(&session, "y", ["g@e.f"]))
        #expect(server.seen.messages == ["x\r\n", "y"])
        #expect(verdicts(events(&session, server.seen.output)) == [[.accepted], [.accepted]])
        #expect(session.unanswered == 0)
    }

    @Test("Replies belong to the recipients in order, however they are cut", arguments: 1...20)
    func replies(piece: Int) {
        var session = QMTPClientSession()
        _ = send(&session, "x", ["a@b", "c@d"])
        _ = send(&session, "y", ["e@f"])
        let found = events(
            &session, reply("Kok") + reply("D550 5.1.1 no such person") + reply("Zbusy (#4.2.1) eh"), piece: piece)
        #expect(
            verdicts(found) == [
                [.accepted, .refused(Reason(550, "5.1.1", "no such person"))],
                [.deferred(Reason(451, "4.0.0", "busy (#4.2.1) eh"))],
            ])
    }

    @Test("qmail's status at the end of the text is understood")
    func qmailStatus() {
        var session = QMTPClientSession()
        _ = send(&session, "x", ["a@b"])
        let text = "Dsorry, no mailbox here (#5.1.1)"
        let found = events(&session, reply(text))
        #expect(verdicts(found) == [[.refused(Reason(550, "5.1.1", String(text.dropFirst())))]])
    }

    @Test("A long reply is cut, not kept")
    func longReply() {
        var session = QMTPClientSession()
        _ = send(&session, "x", ["a@b"])
        let found = events(&session, "10001:K" + String(repeating: "x", count: 10_000) + ",", piece: 700)
        guard case .replies(let replies) = found.first else {
            Issue.record("\(found)")
            return
        }
        #expect(replies.first?.text.count == QMTPReply.textBytesMax)
    }

    @Test(
        "What is no reply is a violation, and never an acceptance",
        arguments: ["0:,", "x", "3:Xok,", "3:Kok;", "03:Kok,", "9999999:K", "3:Kok,3:Kok,"])
    func violations(text: String) {
        var session = QMTPClientSession()
        _ = send(&session, "x", ["a@b"])
        let found = events(&session, text)
        guard case .violation = found.last else {
            Issue.record("\(text): \(found)")
            return
        }
        #expect(session.unanswered == (text.hasPrefix("3:Kok,3") ? 0 : 1))
    }
}
