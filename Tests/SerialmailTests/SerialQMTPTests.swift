import Mail
import QMTP
import Testing

/// A QMTP server that takes everything but what a test says, and may answer late.
private struct FakeQMTP: Sendable {
    var verdict: @Sendable (String) -> Verdict = { _ in .accepted }
    /// After how many messages it hangs up, in the middle of the next one.
    var messagesMax = Int.max
    /// How many messages come before the first is answered.
    var answersAfter = 0
    let texts = Transcript()
    let envelopes = Transcript()

    @Sendable func serve(_ peer: FakePeer) {
        var session = QMTPServerSession()
        var unread: [UInt8] = []
        var late: [UInt8] = []
        var text: [UInt8] = []
        var count = 0
        while true {
            let step = unread.withUnsafeBytes { session.receive($0) }
            unread.removeFirst(step.consumed)
            switch step.action {
            case .needBytes:
                let more = peer.some()
                if more.isEmpty { return }
                unread += more
            case .startMessage:
                if count == messagesMax { return }
                text = []
                session.messageStarted(.accepted)
            case .body(let bytes): text += bytes
            case .endMessage(let envelope):
                count += 1
                texts.note(String(decoding: text, as: UTF8.self))
                envelopes.note("\(envelope.sender) \(envelope.recipients.map(\.description))")
                session.messageStored(envelope.recipients.map { verdict($0.local) })
            case .abandonMessage, .proceed: break
            case .close: return
            }
            late += session.takeOutput()
            if count >= answersAfter {
                peer.say(late)
                late = []
            }
        }
    }
}

@Suite("serialqmtp", .timeLimit(.minutes(5)))
struct SerialQMTPTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func send(_ names: [String], _ server: @escaping @Sendable (FakePeer) -> Void) async throws -> Ran {
        try await run(
            "serialqmtp", ["bob-"], in: workspace, folder: "M", environment: ["TCPREMOTEIP": "192.0.2.7"],
            input: names.flatMap { $0.bytes + [0] }, server: server)
    }

    @Test("Each message has its result: K, Z or D, in order")
    func results() async throws {
        for name in ["k", "z", "d"] { try workspace.message(name, to: "bob-\(name)@d.example") }
        var server = FakeQMTP()
        server.verdict = {
            $0 == "z"
                ? .deferred(Reason(451, "4.3.0", "later"))
                : $0 == "d" ? .refused(Reason(550, "5.1.1", "no")) : .accepted
        }
        let ran = try await send(["new/k", "new/z", "new/d"], server.serve)
        #expect(ran.code == 0 && ran.diagnostics == "")
        #expect(
            ran.output == "new/k\0K192.0.2.7 said: 250 2.0.0 accepted\nnew/z\0Z192.0.2.7 said: 451 4.3.0 later\n"
                + "new/d\0D192.0.2.7 said: 550 5.1.1 no\n")
    }

    @Test("A message goes as it is, without a line end that it lacks, and addresses without quotes")
    func text() async throws {
        try workspace.message("1", from: "\"a b\"@c.example", "Subject: x\n\n.y\nend")
        try workspace.message("2", from: "", "")
        let server = FakeQMTP()
        let ran = try await send(["new/1", "new/2"], server.serve)
        #expect(ran.code == 0 && server.texts.lines == ["Subject: x\r\n\r\n.y\r\nend", ""])
        #expect(server.envelopes.lines == ["<\"a b\"@c.example> [\"c@d.example\"]", "<> [\"c@d.example\"]"])
    }

    @Test("Messages are sent ahead of the replies to earlier ones")
    func pipelined() async throws {
        let names = (1...20).map { "m\($0)" }
        for name in names { try workspace.message(name, String(repeating: "x\n", count: 10_000)) }
        var server = FakeQMTP()
        server.answersAfter = names.count
        let ran = try await send(names.map { "new/\($0)" }, server.serve)
        #expect(ran.code == 0 && server.texts.lines.count == 20)
        #expect(ran.output == names.map { "new/\($0)\0K192.0.2.7 said: 250 2.0.0 accepted\n" }.joined())
    }

    @Test("A connection that breaks leaves results only for what was answered")
    func lostConnection() async throws {
        for name in ["1", "2"] { try workspace.message(name) }
        var server = FakeQMTP()
        server.messagesMax = 1
        let ran = try await send(["new/1", "new/2"], server.serve)
        #expect(ran.code == 111 && ran.output == "new/1\0K192.0.2.7 said: 250 2.0.0 accepted\n")
    }

    @Test("What is no reply ends the run without a result", arguments: ["220 smtp\r\n", "0:,", "3:Xok,", "3:Kok;"])
    func garbage(said: String) async throws {
        try workspace.message("1")
        let ran = try await send(["new/1"]) { peer in
            _ = peer.some()
            peer.say(said)
            while !peer.some().isEmpty {}
        }
        #expect(ran == Ran(code: 111, output: "", diagnostics: "serialqmtp: fatal: remote protocol violation\n"))
    }

    @Test("A file that is gone or without an envelope is put off; the others are sent")
    func unusable() async throws {
        try workspace.put("x\n", "M/new/plain")
        try workspace.message("good")
        let ran = try await send(["new/gone", "new/plain", "new/good"], FakeQMTP().serve)
        #expect(ran.code == 0)
        #expect(
            ran.output.contains("new/gone\0Zunable to read file") && ran.output.contains("new/plain\0Zbad file format"))
        #expect(ran.output.contains("new/good\0K"))
    }

    @Test("Without its argument it tells its usage")
    func usage() async throws {
        let ran = try await run("serialqmtp", [], in: workspace)
        #expect(ran == Ran(code: 100, output: "", diagnostics: "serialqmtp: usage: serialqmtp prefix\n"))
    }
}
