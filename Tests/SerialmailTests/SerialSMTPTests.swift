import Foundation
import Serialmail
import Synchronization
import Testing

@Suite("serialsmtp", .timeLimit(.minutes(5)))
struct SerialSMTPTests {
    private let workspace: Workspace
    private let arguments = ["bob-", "me.example"]

    init() throws { workspace = try Workspace() }

    private func send(
        _ names: [String], to server: FakeSMTP, environment: [String: String] = [:]
    ) async throws -> Ran {
        try await run(
            "serialsmtp", arguments, in: workspace, folder: "M", environment: environment,
            input: names.flatMap { $0.bytes + [0] }, server: server.serve)
    }

    @Test("The envelope comes from the first two lines, without the prefix, and the text follows with dots and CRLF")
    func message() async throws {
        try workspace.message("1", "Subject: x\n\n.dot\n..\n\nlast\n")
        let server = FakeSMTP()
        let ran = try await send(["new/1"], to: server, environment: ["TCPREMOTEIP": "192.0.2.7"])
        #expect(ran == Ran(code: 0, output: "new/1\0K192.0.2.7 said: 250 queued\n", diagnostics: ""))
        #expect(server.texts.lines == ["Subject: x\r\n\r\n..dot\r\n...\r\n\r\nlast\r\n"])
        #expect(
            server.heard.lines == [
                "EHLO me.example", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA", "QUIT",
            ])
    }

    @Test("RSET stands between messages, and each has its result", arguments: ["250-x\r\n250 PIPELINING", "250 x"])
    func several(hello: String) async throws {
        for name in ["1", "2", "3"] { try workspace.message(name, to: "bob-\(name)@d.example") }
        var server = FakeSMTP()
        server.hello = hello
        server.answer = { $0.hasPrefix("RCPT TO:<2") ? "550-no\r\n550 never" : nil }
        let ran = try await send(["new/1", "new/2", "new/3"], to: server)
        #expect(ran.code == 0)
        #expect(ran.output == "new/1\0K250 queued\nnew/2\0D550 never\nnew/3\0K250 queued\n")
        #expect(server.heard.lines.count { $0 == "RSET" } == 2 && server.texts.lines.count == 2)
        #expect(server.heard.lines.count { $0 == "DATA" } == (hello == "250 x" ? 2 : 3))
    }

    @Test("With PIPELINING the envelope is sent before any of it is answered; without, nothing is")
    func pipelining() async throws {
        try workspace.message("1")
        for offers in [true, false] {
            let first = Transcript()
            let ran = try await run(
                "serialsmtp", arguments, in: workspace, folder: "M", input: "new/1\0".bytes,
                server: { peer in
                    peer.say("220 x\r\n")
                    _ = peer.line()
                    peer.say(offers ? "250-x\r\n250-SIZE 1\r\n250 pipelining\r\n" : "250 x\r\n")
                    first.note(String(decoding: peer.some(), as: UTF8.self))
                })
            #expect(ran.code == 111)
            let mail = "MAIL FROM:<a@b.example>\r\n"
            #expect(first.lines == [offers ? mail + "RCPT TO:<c@d.example>\r\nDATA\r\n" : mail])
        }
    }

    @Test(
        "A reply of 5xx to any command is D, of 4xx Z, and the connection goes on",
        arguments: ["MAIL", "RCPT", "DATA", "."], ["550 no", "450 later"])
    func refusals(command: String, reply: String) async throws {
        try workspace.message("1")
        try workspace.message("2")
        for hello in ["250-x\r\n250 PIPELINING", "250 x"] {
            var server = FakeSMTP()
            let isFirst = Once()
            server.hello = hello
            server.answer = { $0.hasPrefix(command) && isFirst.take() ? reply : nil }
            let ran = try await send(["new/1", "new/2"], to: server)
            #expect(ran.code == 0)
            #expect(ran.output == "new/1\0\(reply.hasPrefix("5") ? "D" : "Z")\(reply)\nnew/2\0K250 queued\n")
        }
    }

    @Test("A server that refuses EHLO hears HELO, and no group of commands")
    func plainHello() async throws {
        try workspace.message("1")
        var server = FakeSMTP()
        server.hello = "502 what"
        let ran = try await send(["new/1"], to: server)
        #expect(ran.output == "new/1\0K250 queued\n" && ran.code == 0)
        #expect(server.heard.lines.prefix(2) == ["EHLO me.example", "HELO me.example"])
    }

    @Test("A greeting that is not 220, or a refused HELO, ends the run with 111 and no result")
    func greetingRefused() async throws {
        try workspace.message("1")
        var server = FakeSMTP()
        server.greeting = "554 go away"
        var ran = try await send(["new/1"], to: server)
        #expect(ran == Ran(code: 111, output: "", diagnostics: "serialsmtp: fatal: connected but greeting failed\n"))
        #expect(server.heard.lines == ["QUIT"])
        server = FakeSMTP()
        server.answer = { $0.hasPrefix("EHLO") || $0.hasPrefix("HELO") ? "550 no" : nil }
        ran = try await send(["new/1"], to: server)
        #expect(
            ran == Ran(code: 111, output: "", diagnostics: "serialsmtp: fatal: connected but my name was rejected\n"))
    }

    @Test("A last line without an end gets one; with SERIALMAIL_STRICT it stops the run, as it always did")
    func partialLine() async throws {
        try workspace.message("1", "x\nend")
        try workspace.message("2", "")
        let server = FakeSMTP()
        var ran = try await send(["new/1", "new/2"], to: server)
        #expect(ran.code == 0 && server.texts.lines == ["x\r\nend\r\n", ""])
        let strict = FakeSMTP()
        ran = try await send(["new/2", "new/1", "new/2"], to: strict, environment: ["SERIALMAIL_STRICT": "1"])
        #expect(ran.code == 111 && ran.output == "new/2\0K250 queued\n" && strict.texts.lines == [""])
        #expect(ran.diagnostics == "serialsmtp: fatal: SMTP cannot transfer messages with partial final lines\n")
    }

    @Test("A connection that breaks leaves results only for what was answered", arguments: ["MAIL FROM:<2", "."])
    func lostConnection(command: String) async throws {
        try workspace.message("1")
        try workspace.message("2", from: "2@b.example")
        var server = FakeSMTP()
        let dots = Tally()
        server.answer = { said in
            if said == "." { return command == "." && dots.next() == 2 ? "" : nil }
            return said.hasPrefix(command) ? "" : nil
        }
        let ran = try await send(["new/1", "new/2"], to: server)
        #expect(ran.code == 111 && ran.output == "new/1\0K250 queued\n")
        #expect(ran.diagnostics == "serialsmtp: fatal: network read error: end of file\n")
    }

    @Test("A text is one line of printable characters, and no longer than 2000")
    func replyText() async throws {
        try workspace.message("1")
        let server: @Sendable (FakePeer) -> Void = { peer in
            peer.say("220 x\r\n")
            _ = peer.line()
            peer.say("250 x\r\n")
            _ = peer.line()
            peer.say("550 n\u{e4}\t\u{1}".bytes + Array(repeating: 0xE9, count: 3000) + "\r\n".bytes)
        }
        let ran = try await run(
            "serialsmtp", arguments, in: workspace, folder: "M", input: "new/1\0".bytes, server: server)
        let expected = "D550 n????" + String(repeating: "?", count: 1990)
        #expect(ran.output == "new/1\0\(expected)\n")
    }

    @Test("What is no reply is a protocol violation", arguments: ["hello", "2x0 ok", "25", ""])
    func garbage(line: String) async throws {
        var server = FakeSMTP()
        server.greeting = line
        let ran = try await send(["new/1"], to: server)
        #expect(ran == Ran(code: 111, output: "", diagnostics: "serialsmtp: fatal: protocol violation\n"))
    }

    @Test("A refused RSET is a protocol violation")
    func refusedReset() async throws {
        for name in ["1", "2"] { try workspace.message(name) }
        var server = FakeSMTP()
        server.answer = { $0 == "RSET" ? "500 what" : nil }
        let ran = try await send(["new/1", "new/2"], to: server)
        #expect(ran.code == 111 && ran.output == "new/1\0K250 queued\n")
    }

    @Test("A server that wants the text of a refused message gets an empty one, and the next is sent")
    func textForNobody() async throws {
        for name in ["1", "2"] { try workspace.message(name, to: "bob-\(name)@d.example") }
        var server = FakeSMTP()
        server.answer = { $0.hasPrefix("RCPT TO:<1") ? "550 no" : $0 == "DATA" ? "354 go" : nil }
        let ran = try await send(["new/1", "new/2"], to: server)
        #expect(ran.output == "new/1\0D550 no\nnew/2\0K250 queued\n" && ran.code == 0)
        #expect(server.texts.lines == ["", "Subject: x\r\n\r\ny\r\n"])
    }

    @Test("A file that is gone, unreadable, without an envelope or of another prefix is put off; the others are sent")
    func unusable() async throws {
        try workspace.put("Subject: x\n", "M/new/plain")
        try workspace.message("other", to: "carol-c@d.example")
        try workspace.message("good")
        #expect(symlink("good", "\(workspace.path)/M/new/link") == 0)
        let names = ["new/gone", "new/plain", "new/other", "new/link", "new/good"]
        let ran = try await send(names, to: FakeSMTP())
        #expect(ran.code == 0)
        let results = ran.output.split(separator: "\n")
        #expect(results.prefix(4).map { $0.prefix { $0 != "\0" } } == names.prefix(4).map { $0[...] })
        #expect(results.prefix(4).allSatisfy { $0.contains("\0Z") && !$0.contains("said") })
        #expect(results.last == "new/good\0K250 queued")
    }

    @Test("File names may hold anything but NUL")
    func oddNames() async throws {
        for name in ["a b", "c\nd", "e\u{e9}", "-x", "%s$(true)"] { try workspace.message(name) }
        let names = ["new/a b", "new/c\nd", "new/e\u{e9}", "new/-x", "new/%s$(true)"]
        let ran = try await send(names, to: FakeSMTP())
        #expect(ran.output == names.map { "\($0)\0K250 queued\n" }.joined() && ran.code == 0)
    }

    @Test("Addresses are quoted where SMTP needs it; what SMTP cannot carry is refused")
    func addresses() async throws {
        try workspace.message("1", from: "", to: "bob-a b@d.example")
        try workspace.message("2", from: "\"q q\"@b.example", to: "bob-c@d.example")
        try workspace.message("3", from: "#@[]", to: "bob-c\u{1}@d.example")
        try workspace.message("4", from: "#@[]", to: "bob-c@d.example")
        let server = FakeSMTP()
        let ran = try await send(["new/1", "new/2", "new/3", "new/4"], to: server)
        #expect(ran.output.contains("new/3\0Dan address cannot be written in SMTP"))
        let envelope = server.heard.lines.filter { $0.hasPrefix("MAIL") || $0.hasPrefix("RCPT") }
        #expect(
            envelope == [
                "MAIL FROM:<>", "RCPT TO:<\"a b\"@d.example>", "MAIL FROM:<\"q q\"@b.example>", "RCPT TO:<c@d.example>",
                "MAIL FROM:<#@[]>", "RCPT TO:<c@d.example>",
            ])
    }

    @Test("A peer that says nothing ends the run when patience is over")
    func silence() async throws {
        let ran = try await run(
            "serialsmtp", arguments, in: workspace, adjust: { $0.patience = .milliseconds(20) },
            server: { _ = $0.line() })
        #expect(ran.code == 111 && ran.diagnostics.hasPrefix("serialsmtp: fatal: network read error: "))
    }

    @Test("Without its arguments it tells its usage")
    func usage() async throws {
        let ran = try await run("serialsmtp", ["bob-"], in: workspace)
        #expect(ran == Ran(code: 100, output: "", diagnostics: "serialsmtp: usage: serialsmtp prefix helohost\n"))
    }
}

/// True once.
final class Once: Sendable {
    private let isTaken = Mutex(false)

    func take() -> Bool {
        isTaken.withLock { taken in
            defer { taken = true }
            return !taken
        }
    }
}

/// Counts from 1.
final class Tally: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}
