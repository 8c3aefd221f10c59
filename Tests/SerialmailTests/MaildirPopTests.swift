import Foundation
import Testing

@testable import Serialmail

/// A POP3 mailbox that a test can break.
private struct FakePOP: Sendable {
    var greeting = "+OK hello"
    /// The UIDL and the text of each message, with CRLF and stuffed dots.
    var messages: [(String, String)] = []
    /// What it says to a command, if not what it always does; an empty reply hangs up.
    var answer: @Sendable (_ command: String) -> String? = { _ in nil }
    let heard = Transcript()

    @Sendable func serve(_ peer: FakePeer) {
        peer.say(greeting + "\r\n")
        while let line = peer.line() {
            let command = String(line.dropLast())
            heard.note(command)
            let reply = answer(command) ?? usual(command)
            if reply.isEmpty { return }
            peer.say(reply + "\r\n")
            if command == "QUIT" { return }
        }
    }

    private func usual(_ command: String) -> String {
        let words = command.split(separator: " ")
        switch words.first {
        case "UIDL":
            return "+OK\r\n" + messages.enumerated().map { "\($0 + 1) \($1.0)\r\n" }.joined() + "."
        case "LIST":
            return "+OK\r\n" + messages.enumerated().map { "\($0 + 1) \($1.1.utf8.count)\r\n" }.joined() + "."
        case "RETR":
            guard let number = words.last.flatMap({ Int($0) }), messages.indices.contains(number - 1) else {
                return "-ERR"
            }
            return "+OK\r\n\(messages[number - 1].1)."
        default: return "+OK"
        }
    }

    /// Commands from the first on that is no login.
    var work: [String] {
        heard.lines.filter { !$0.hasPrefix("USER") && !$0.hasPrefix("PASS") && !$0.hasPrefix("APOP") }
    }
}

@Suite("maildirpop", .timeLimit(.minutes(5)))
struct MaildirPopTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func fetch(
        _ server: FakePOP, _ arguments: [String] = ["M", "alice"], environment: [String: String] = [:],
        secret: String? = "tanstaaf\nnot this\n"
    ) async throws -> Ran {
        try await run(
            "maildirpop", arguments, in: workspace,
            environment: ["TCPREMOTEIP": "192.0.2.1"].merging(environment) { $1 }, secret: secret, server: server.serve)
    }

    private var two: FakePOP {
        FakePOP(messages: [("u1", "Subject: 1\r\n\r\n..dot\r\n"), ("u2", "Subject: 2\r\n\r\nx\r\n")])
    }

    @Test("Every message is in the Maildir with LF lines before it is deleted there, and QUIT is last")
    func fetches() async throws {
        let server = two
        let ran = try await fetch(server)
        #expect(ran == Ran(code: 0, output: "", diagnostics: "maildirpop: info: 2 messages\n"))
        #expect(Set(try workspace.texts("M/new")) == ["Subject: 1\n\n.dot\n", "Subject: 2\n\nx\n"])
        #expect(server.heard.lines.prefix(2) == ["USER alice", "PASS tanstaaf"])
        #expect(server.work == ["UIDL", "RETR 1", "DELE 1", "RETR 2", "DELE 2", "QUIT"])
        #expect(workspace.names("M/tmp").isEmpty)
    }

    @Test("APOP is used where the greeting has a timestamp (RFC 1939 §7), unless -p says otherwise")
    func apop() async throws {
        var server = FakePOP(greeting: "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>")
        var ran = try await fetch(server, ["M", "mrose"])
        #expect(ran.code == 0 && server.heard.lines.first == "APOP mrose c4c9334bac560ecc979e58001b3e22fb")
        server = FakePOP(greeting: server.greeting)
        ran = try await fetch(server, ["-p", "M", "mrose"])
        #expect(ran.code == 0 && server.heard.lines.first == "USER mrose")
    }

    @Test("User and password may come from the environment; without a password it says nothing to the server")
    func credentials() async throws {
        let server = FakePOP()
        let environment = ["SERIALMAIL_USER": "bob", "SERIALMAIL_PASSWORD": "secret"]
        #expect(try await fetch(server, ["M"], environment: environment, secret: nil).code == 0)
        #expect(server.heard.lines.prefix(2) == ["USER bob", "PASS secret"])
        let silent = FakePOP()
        #expect(try await fetch(silent, secret: nil).code == 111 && silent.heard.lines.isEmpty)
        #expect(try await fetch(silent, ["M", "a\r\nDELE 1"]).code == 111 && silent.heard.lines.isEmpty)
        #expect(try await fetch(silent, ["M"]).code == 100)
    }

    @Test("A refused greeting or login ends the run with 111")
    func refused() async throws {
        #expect(try await fetch(FakePOP(greeting: "-ERR busy")).code == 111)
        var server = two
        server.answer = { $0.hasPrefix("PASS") ? "-ERR wrong" : nil }
        let ran = try await fetch(server)
        #expect(ran == Ran(code: 111, output: "", diagnostics: "maildirpop: fatal: login failed: wrong\n"))
        #expect(workspace.names("M/new").isEmpty)
    }

    @Test(
        "A connection that breaks anywhere loses nothing, and the next run makes nothing double",
        arguments: ["UIDL", "RETR 1", "DELE 1", "RETR 2", "DELE 2", "QUIT"])
    func broken(command: String) async throws {
        var server = two
        server.answer = { $0 == command ? "" : nil }
        #expect(try await fetch(server).code == 111)
        let before = workspace.names("M/new")
        #expect(before.count == ["UIDL": 0, "RETR 1": 0, "DELE 1": 1, "RETR 2": 1][command, default: 2])
        // Somebody has seen one meanwhile.
        if let seen = before.first { #expect(rename(seen)) }
        let again = two
        #expect(try await fetch(again).code == 0)
        #expect(again.work == ["UIDL", "RETR 1", "DELE 1", "RETR 2", "DELE 2", "QUIT"])
        #expect(workspace.names("M/new").count + workspace.names("M/cur").count == 2)
    }

    private func rename(_ name: String) -> Bool {
        Glibc.rename("\(workspace.path)/M/new/\(name)", "\(workspace.path)/M/cur/\(name):2,S") == 0
    }

    @Test("A message that breaks off is not kept, and nothing of it stays")
    func halfMessage() async throws {
        let ran = try await run(
            "maildirpop", ["M", "alice"], in: workspace, secret: "x\n",
            server: { peer in
                peer.say("+OK\r\n")
                for reply in ["+OK", "+OK", "+OK\r\n1 u\r\n.", "+OK\r\nSubject: x\r\n\r\nhalf"] {
                    _ = peer.line()
                    peer.say(reply + "\r\n")
                }
            })
        #expect(ran.code == 111 && workspace.names("M/new").isEmpty && workspace.names("M/tmp").isEmpty)
    }

    @Test("Another message under a UIDL that was used before is kept too")
    func reusedUniqueID() async throws {
        _ = try await fetch(FakePOP(messages: [("1", "first\r\n")]))
        _ = try await fetch(FakePOP(messages: [("1", "the second\r\n")]))
        #expect(Set(try workspace.texts("M/new")) == ["first\n", "the second\n"])
    }

    @Test("Two messages of one listing with one UIDL are both kept, and so are all where there is no UIDL")
    func noUniqueID() async throws {
        var server = FakePOP(messages: [("same", "x\r\n"), ("same", "x\r\n")])
        #expect(try await fetch(server).code == 0 && workspace.names("M/new").count == 2)
        server.answer = { $0 == "UIDL" ? "-ERR what" : nil }
        #expect(try await fetch(server).code == 0 && workspace.names("M/new").count == 4)
    }

    @Test("The same UIDL of another user or server is another message")
    func otherMailbox() async throws {
        let server = FakePOP(messages: [("u", "x\r\n")])
        for arguments in [["M", "alice"], ["M", "bob"], ["-s", "pop.example", "M", "alice"], ["M", "alice"]] {
            #expect(try await fetch(server, arguments).code == 0)
        }
        #expect(workspace.names("M/new").count == 3)
    }

    @Test("-k deletes nothing there")
    func keeps() async throws {
        let server = two
        #expect(try await fetch(server, ["-k", "M", "alice"]).code == 0)
        #expect(server.work == ["UIDL", "RETR 1", "RETR 2", "QUIT"] && workspace.names("M/new").count == 2)
    }

    @Test("A server that refuses DELE, RETR or QUIT is told of: 111", arguments: ["DELE 1", "RETR 1", "QUIT"])
    func refusedWork(command: String) async throws {
        var server = two
        server.answer = { $0 == command ? "-ERR no" : nil }
        #expect(try await fetch(server).code == 111)
    }

    @Test("A Maildir that is none costs the server nothing")
    func noMaildir() async throws {
        let server = two
        #expect(try await fetch(server, ["none", "alice"]).code == 111 && server.heard.lines.isEmpty)
    }

    @Test("What is no POP3 ends the run", arguments: ["220 smtp", "+OKAY", ""])
    func garbage(line: String) async throws {
        let ran = try await fetch(FakePOP(greeting: line))
        #expect(ran.code == 111 && ran.diagnostics.hasPrefix("maildirpop: fatal: protocol violation"))
    }
}
