import Foundation
import Testing

@Suite("maildirserial", .timeLimit(.minutes(5)))
struct MaildirSerialTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    /// A client that answers each file by what its second line holds: "refuse", "defer", or nothing of these.
    private static let judge = """
        while IFS= read -r -d "" name; do
            case $(sed -n 2p "$name" | tr -d '\\0') in
            *refuse*) printf '%s\\0D192.0.2.7 said: 550 5.1.1 no such person\\n' "$name" ;;
            *defer*) printf '%s\\0Z192.0.2.7 said: 450 4.2.1 later\\n' "$name" ;;
            *) printf '%s\\0K192.0.2.7 said: 250 ok\\n' "$name" ;;
            esac
        done
        """

    private func serial(
        _ options: [String] = [], prefix: String = "bob-", client: String = judge, environment: [String: String] = [:]
    ) async throws -> Ran {
        let script = try workspace.script("client", client)
        return try await run(
            "maildirserial", options + ["--", "M", prefix, script], in: workspace, environment: environment)
    }

    /// As `serial`, with a Maildir that takes the bounces.
    private func bouncing(_ options: [String] = ["-b"], environment: [String: String] = [:]) async throws -> Ran {
        if workspace.names("B").isEmpty {
            _ = try await run("maildirmake", ["B"], in: workspace)
        }
        return try await serial(options, environment: ["SERIALMAIL_BOUNCEDIR": "B"].merging(environment) { $1 })
    }

    @Test("K: the message is removed, and nothing is left: 0")
    func delivered() async throws {
        try workspace.message("1")
        let ran = try await serial()
        #expect(
            ran
                == Ran(
                    code: 0, output: "", diagnostics: "maildirserial: info: new/1 succeeded: 192.0.2.7 said: 250 ok\n"))
        #expect(workspace.names("M/new").isEmpty)
    }

    @Test("An empty Maildir starts no client: 0")
    func empty() async throws {
        let ran = try await serial(client: "touch started")
        #expect(ran == Ran(code: 0, output: "", diagnostics: ""))
        #expect(!workspace.names("M").contains("started"))
    }

    @Test("Z: the message stays, is not tried again in this run, and the end is 111")
    func deferred() async throws {
        try workspace.message("1", to: "bob-defer@d.example")
        let ran = try await serial(["-b"], client: "echo >> ../started; " + Self.judge)
        #expect(
            ran
                == Ran(
                    code: 111, output: "",
                    diagnostics: "maildirserial: info: new/1 failed temporarily: 192.0.2.7 said: 450 4.2.1 later\n"))
        #expect(workspace.names("M/new") == ["1"])
        #expect(try workspace.text("started") == "\n")
    }

    @Test("D without -b: the message stays")
    func refused() async throws {
        try workspace.message("1", to: "bob-refuse@d.example")
        let ran = try await serial()
        #expect(
            ran
                == Ran(
                    code: 111, output: "",
                    diagnostics: "maildirserial: info: new/1 failed: 192.0.2.7 said: 550 5.1.1 no such person\n"))
        #expect(workspace.names("M/new") == ["1"])
    }

    @Test("D with -b: the sender is told, then the message is removed: 0")
    func bounced() async throws {
        try workspace.message("1", from: "alice@a.example", to: "bob-refuse@d.example", "Subject: hello\n\nbody\n")
        let ran = try await bouncing()
        #expect(ran.code == 0 && workspace.names("M/new").isEmpty)
        #expect(
            ran.diagnostics.hasPrefix(
                "maildirserial: info: new/1 bounced: 192.0.2.7 said: 550 5.1.1 no such person\n"
                    + "maildirserial: info: returned new/1: qp "))
        let bounces = try workspace.texts("B/new")
        #expect(bounces.count == 1)
        let bounce = try #require(bounces.first)
        #expect(bounce.hasPrefix("Return-Path: <>\nDelivered-To: alice@a.example\nFrom: "))
        #expect(bounce.contains("report-type=delivery-status"))
        #expect(bounce.contains("\nFinal-Recipient: rfc822; refuse@d.example\nAction: failed\nStatus: 5.1.1\n"))
        #expect(bounce.contains("\nRemote-MTA: dns; 192.0.2.7\nDiagnostic-Code: smtp; 550 5.1.1 no such person\n"))
        #expect(bounce.contains("Subject: hello\n\nbody\n") && !bounce.contains("bob-refuse"))
    }

    @Test("What is refused without a sender goes to the postmaster, from #@[]")
    func doubleBounce() async throws {
        try workspace.message("1", from: "", to: "bob-refuse@d.example")
        try workspace.message("2", from: "", to: "bob-refuse@d.example")
        let ran = try await bouncing(environment: ["SERIALMAIL_DOUBLEBOUNCE": "root@here.example"])
        #expect(ran.code == 0 && workspace.names("M/new").isEmpty)
        let bounces = try workspace.texts("B/new")
        #expect(bounces.count == 2)
        #expect(bounces.allSatisfy { $0.hasPrefix("Return-Path: <#@[]>\nDelivered-To: root@here.example\n") })
    }

    @Test("Without SERIALMAIL_DOUBLEBOUNCE the postmaster is this host's")
    func defaultPostmaster() async throws {
        try workspace.message("1", from: "", to: "bob-refuse@d.example")
        _ = try await bouncing()
        let line = try #require(try workspace.texts("B/new").first).split(separator: "\n")[1]
        #expect(line.hasPrefix("Delivered-To: postmaster@") && line.count > "Delivered-To: postmaster@".count)
    }

    @Test("A bounce of a bounce that bounced is dropped, and the log says so")
    func tripleBounce() async throws {
        try workspace.message("1", from: "#@[]", to: "bob-refuse@d.example")
        let ran = try await bouncing()
        #expect(ran.code == 0 && workspace.names("M/new").isEmpty && workspace.names("B/new").isEmpty)
        #expect(ran.diagnostics.hasSuffix("maildirserial: info: discarding new/1: triple bounce\n"))
    }

    @Test("A bounce is handed to a program with sender and recipient, and the message is removed if that ends with 0")
    func injected() async throws {
        try workspace.message("1", from: "alice@a.example", to: "bob-refuse@d.example")
        let program = try workspace.script("inject", "printf '[%s]' \"$@\" > \"$0.args\"; cat > \"$0.in\"")
        let ran = try await serial(["-b"], environment: ["SERIALMAIL_INJECT": program])
        #expect(ran.code == 0 && workspace.names("M/new").isEmpty)
        #expect(try workspace.text("inject.args") == "[-f][][--][alice@a.example]")
        #expect(try workspace.text("inject.in").hasPrefix("From: Mail Delivery System <MAILER-DAEMON@"))
        try workspace.message("2", from: "", to: "bob-refuse@d.example")
        _ = try await serial(["-b"], environment: ["SERIALMAIL_INJECT": program, "SERIALMAIL_DOUBLEBOUNCE": "p@h"])
        #expect(try workspace.text("inject.args") == "[-f][#@[]][--][p@h]")
    }

    @Test(
        "A bounce that cannot be queued leaves the message",
        arguments: ["cat > /dev/null; exit 75", "exit 1", "kill -9 $$", ""])
    func notInjected(script: String) async throws {
        try workspace.message("1", to: "bob-refuse@d.example", String(repeating: "x\n", count: 200_000))
        let program = script.isEmpty ? "\(workspace.path)/none" : try workspace.script("inject", script)
        let ran = try await serial(["-b"], environment: ["SERIALMAIL_INJECT": program])
        #expect(ran.code == 111 && workspace.names("M/new") == ["1"])
        #expect(ran.diagnostics.contains("maildirserial: warning: unable to bounce new/1: qq failed: "))
    }

    @Test("Beyond its lifetime a message that is put off is bounced; without -b it has failed")
    func lifetime() async throws {
        try workspace.message("old", to: "bob-defer@d.example", age: 1000)
        try workspace.message("young", to: "bob-defer@d.example", age: 500)
        var ran = try await serial(["-t", "800"])
        #expect(ran.code == 111 && ran.diagnostics.contains("new/old failed: "))
        #expect(ran.diagnostics.contains("new/young failed temporarily: "))
        ran = try await bouncing(["-b", "-t800"])
        #expect(ran.code == 111 && workspace.names("M/new") == ["young"])
        let bounce = try #require(try workspace.texts("B/new").first)
        #expect(bounce.contains("Status: 4.2.1\n") && bounce.contains("450 4.2.1 later"))
    }

    @Test("Messages are named oldest first, new and cur together")
    func order() async throws {
        for (name, age) in [("b", 30), ("a", 10), ("c", 20)] { try workspace.message(name, age: age) }
        try workspace.put("Return-Path: <>\nDelivered-To: bob-x@y\n", "M/cur/d:2,S", age: 25)
        let ran = try await serial()
        let names = ran.diagnostics.split(separator: "\n").map { $0.split(separator: " ")[2] }
        #expect(names == ["new/b", "cur/d:2,S", "new/c", "new/a"] && ran.code == 0)
    }

    @Test("Messages of another prefix, or without an envelope, are nobody's business here: 0")
    func prefix() async throws {
        try workspace.message("1", to: "carol-c@d.example")
        try workspace.put("Subject: x\n\n", "M/new/2")
        try workspace.message("3")
        let ran = try await serial()
        #expect(ran.code == 0 && workspace.names("M/new") == ["1", "2"])
    }

    @Test("With an empty prefix every file is named, and one that is bad holds nobody up")
    func emptyPrefix() async throws {
        try workspace.put("refuse\nrefuse\n", "M/new/1", age: 100)
        try workspace.message("2", to: "c@d.example")
        let ran = try await serial(["-b"], prefix: "")
        #expect(ran.code == 111 && workspace.names("M/new") == ["1"])
        #expect(ran.diagnostics.contains("maildirserial: warning: unable to bounce new/1: bad file format\n"))
        #expect(ran.diagnostics.contains("new/2 succeeded"))
    }

    @Test("A file that cannot be opened is warned of, and the others are sent")
    func unreadable() async throws {
        try workspace.message("1")
        #expect(symlink("/nowhere", "\(workspace.path)/M/new/link") == 0)
        #expect(mkfifo("\(workspace.path)/M/new/fifo", 0o600) == 0)
        let ran = try await serial()
        #expect(ran.code == 0 && !workspace.names("M/new").contains("1"))
    }

    @Test("Names may hold anything; in the log they are one line")
    func oddNames() async throws {
        for name in ["a b", "c\nd", "$(touch x)", "e\u{e9}"] { try workspace.message(name) }
        let ran = try await serial()
        #expect(ran.code == 0 && workspace.names("M/new").isEmpty)
        #expect(ran.diagnostics.split(separator: "\n").count == 4)
        #expect(ran.diagnostics.contains("new/c?d succeeded") && ran.diagnostics.contains("new/$(touch x) succeeded"))
    }

    @Test("Three rounds without a result are the end: 111, and nothing is removed")
    func noProgress() async throws {
        try workspace.message("1")
        let ran = try await serial(client: "echo >> ../started; cat > /dev/null")
        #expect(ran == Ran(code: 111, output: "", diagnostics: "maildirserial: fatal: making no progress, giving up\n"))
        #expect(try workspace.text("started") == "\n\n\n" && workspace.names("M/new") == ["1"])
    }

    @Test("A client that does one message and goes is started again until nothing is left")
    func oneByOne() async throws {
        for name in ["1", "2", "3", "4", "5"] { try workspace.message(name) }
        let ran = try await serial(
            client: "echo >> ../started; IFS= read -r -d '' name; printf '%s\\0K\\n' \"$name\"; exit 1")
        #expect(ran.code == 0 && workspace.names("M/new").isEmpty)
        #expect(try workspace.text("started") == "\n\n\n\n\n")
    }

    @Test("A result that is not whole counts for nothing")
    func halfResult() async throws {
        try workspace.message("1")
        let ran = try await serial(client: "IFS= read -r -d '' name; printf '%s\\0K250 ok' \"$name\"")
        #expect(ran.code == 111 && workspace.names("M/new") == ["1"])
    }

    @Test("The client's 100 is handed on; one that crashes is fatal")
    func clientEnds() async throws {
        try workspace.message("1")
        #expect(try await serial(client: "exit 100") == Ran(code: 100, output: "", diagnostics: ""))
        #expect(
            try await serial(client: "kill -9 $$")
                == Ran(code: 111, output: "", diagnostics: "maildirserial: fatal: client crashed\n"))
        let ran = try await run("maildirserial", ["M", "", "/none/client"], in: workspace)
        #expect(ran.code == 111 && ran.diagnostics.hasPrefix("maildirserial: fatal: unable to run /none/client: "))
        #expect(workspace.names("M/new") == ["1"])
    }

    @Test("What the client was not asked for is not removed, whatever it says")
    func notAsked() async throws {
        try workspace.message("1")
        try workspace.put("precious", "precious")
        let ran = try await serial(client: "cat >/dev/null; printf '../precious\\0Kok\\nnew/1\\0Kok\\nnew/1\\0Kok\\n'")
        #expect(try workspace.text("precious") == "precious")
        #expect(ran.diagnostics.contains("warning: client reports ../precious, which was not its task"))
        #expect(ran.diagnostics.contains("warning: client reports new/1") && workspace.names("M/new").isEmpty)
    }

    @Test("A message that cannot be removed after K is not sent again in this run: 111")
    func cannotRemove() async throws {
        try workspace.message("1")
        let ran = try await serial(
            client: """
                IFS= read -r -d '' name; mv "$name" ../moved; mkdir "$name"; printf '%s\\0Kok\\n' "$name"
                """)
        #expect(ran.diagnostics.contains("warning: message will be delivered twice! unable to unlink new/1: "))
        // The folder in its place is no message.
        #expect(ran.code == 111)
    }

    @Test("Many names and results pass each other, whoever is slow")
    func many() async throws {
        // More of each than a pipe holds.
        let padding = String(repeating: "x", count: 200)
        for number in 0..<400 { try workspace.message("\(padding)\(number)") }
        let ran = try await serial(
            client: """
                mapfile -d '' names
                for name in "${names[@]}"; do printf '%s\\0K%01000d\\n' "$name" 0; done
                """)
        #expect(ran.code == 0 && workspace.names("M/new").isEmpty)
    }

    @Test("What lay in tmp for 36 hours is removed")
    func tmp() async throws {
        try workspace.put("", "M/tmp/old", age: 40 * 3600)
        try workspace.put("", "M/tmp/young", age: 3600)
        _ = try await serial()
        #expect(workspace.names("M/tmp") == ["young"])
    }

    @Test(
        "Wrong arguments tell the usage: 100; no Maildir: 111",
        arguments: [[], ["M"], ["M", "p"], ["-x", "M", "p", "c"]])
    func usage(arguments: [String]) async throws {
        let ran = try await run("maildirserial", arguments, in: workspace)
        #expect(
            ran
                == Ran(
                    code: 100, output: "",
                    diagnostics:
                        "maildirserial: usage: maildirserial [ -b ] [ -t lifetime ] dir prefix client [ arg ... ]\n"))
        let none = try await run("maildirserial", ["none", "", "true"], in: workspace)
        #expect(none.code == 111 && none.diagnostics.hasPrefix("maildirserial: fatal: unable to chdir to none: "))
    }
}
