import Foundation
import Testing

@testable import Serialmail

@Suite("maildirbsmtp", .timeLimit(.minutes(5)))
struct MaildirBSMTPTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private let batch = """
        HELO me.example
        MAIL FROM:<a@b.example>
        RCPT TO:<c@d.example>
        DATA
        Subject: x

        ..dot
        end
        .
        MAIL FROM:<>
        RCPT TO:<c@d.example>
        DATA
        .
        QUIT

        """

    private func fill() throws {
        try workspace.message("1", "Subject: x\n\n.dot\nend", age: 100)
        try workspace.message("2", from: "", "", age: 50)
        try workspace.message("other", to: "carol-c@d.example", age: 70)
    }

    @Test("All messages of the prefix are one batch, oldest first, with dots stuffed, and are removed after it")
    func writes() async throws {
        try fill()
        let ran = try await run("maildirbsmtp", ["M", "bob-", "me.example"], in: workspace)
        #expect(ran.code == 0 && ran.output == batch)
        #expect(ran.diagnostics.contains("maildirbsmtp: info: new/1 succeeded: "))
        #expect(workspace.names("M/new") == ["other"])
    }

    @Test("-c ends lines with CRLF")
    func carriageReturns() async throws {
        try fill()
        let ran = try await run("maildirbsmtp", ["-c", "M", "bob-", "me.example"], in: workspace)
        #expect(ran.output == batch.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n"))
    }

    @Test("Where there is nothing to send nothing is written, and no program is started")
    func nothing() async throws {
        try workspace.message("other", to: "carol-c@d.example")
        let ran = try await run(
            "maildirbsmtp", ["M", "bob-", "me", "touch", "\(workspace.path)/started"], in: workspace)
        #expect(ran == Ran(code: 0, output: "", diagnostics: "") && !workspace.names("").contains("started"))
    }

    @Test("Messages are removed only if the program that takes the batch ends with 0", arguments: [0, 1, 75])
    func consumer(code: Int) async throws {
        try fill()
        let ran = try await run(
            "maildirbsmtp", ["M", "bob-", "me.example", "sh", "-c", "cat; exit \(code)"], in: workspace)
        #expect(ran.output == batch)
        #expect(ran.code == (code == 0 ? 0 : 111))
        #expect(workspace.names("M/new") == (code == 0 ? ["other"] : ["1", "2", "other"]))
    }

    @Test("A program that does not read, or is not there, costs nothing")
    func badConsumer() async throws {
        try workspace.message("1", String(repeating: "x\n", count: 200_000))
        for command in [["sh", "-c", "exit 3"], ["/none/program"], ["sh", "-c", "kill -9 $$"]] {
            let ran = try await run("maildirbsmtp", ["M", "bob-", "me"] + command, in: workspace)
            #expect(ran.code == 111 && workspace.names("M/new") == ["1"])
        }
    }

    @Test("What cannot be written leaves the messages")
    func fullDisk() async throws {
        try fill()
        let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
        defer { close(full) }
        let ran = try await run("maildirbsmtp", ["M", "bob-", "me"], in: workspace, adjust: { $0.output = full })
        #expect(ran.code == 111 && workspace.names("M/new").count == 3)
    }

    @Test("A file that is no message is warned of and left, and the others are sent: 111")
    func badFile() async throws {
        try fill()
        try workspace.put("x\n", "M/new/bad")
        let ran = try await run("maildirbsmtp", ["M", "", "me.example"], in: workspace)
        #expect(ran.code == 111 && workspace.names("M/new") == ["bad"])
        #expect(ran.diagnostics.contains("maildirbsmtp: warning: unable to send new/bad: bad file format\n"))
    }

    @Test("rsmtp takes what maildirbsmtp writes", arguments: [[], ["-c"]])
    func roundTrip(options: [String]) async throws {
        try fill()
        _ = try await run("maildirmake", ["B"], in: workspace)
        let written = try await run("maildirbsmtp", options + ["M", "bob-", "me.example"], in: workspace)
        let ran = try await run("rsmtp", ["-d", "B", "-p", "x-"], in: workspace, input: written.output.bytes)
        #expect(ran == Ran(code: 0, output: "", diagnostics: ""))
        #expect(
            Set(try workspace.texts("B/new")) == [
                "Return-Path: <a@b.example>\nDelivered-To: x-c@d.example\nSubject: x\n\n.dot\nend\n",
                "Return-Path: <>\nDelivered-To: x-c@d.example\n",
            ])
    }
}

@Suite("rsmtp", .timeLimit(.minutes(5)))
struct ReadBSMTPTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func read(_ batch: String, _ arguments: [String] = ["-d", "M"]) async throws -> Ran {
        try await run("rsmtp", arguments, in: workspace, input: batch.bytes)
    }

    private let whole = "HELO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nfirst\n.\n"

    @Test("A message for several is one file for each")
    func several() async throws {
        let batch = "EHLO x\nmail from:<a@b> BODY=8BITMIME\nrcpt to:<c@d>\nRCPT TO: <\"e f\"@g>\nDATA\nx\n..\n.\nQUIT\n"
        #expect(try await read(batch) == Ran(code: 0, output: "", diagnostics: ""))
        #expect(
            Set(try workspace.texts("M/new")) == [
                "Return-Path: <a@b>\nDelivered-To: c@d\nx\n.\n", "Return-Path: <a@b>\nDelivered-To: \"e f\"@g\nx\n.\n",
            ])
    }

    @Test("QUIT may be missing between two messages, and RSET and NOOP change nothing")
    func noQuit() async throws {
        #expect(try await read(whole + "RSET\nNOOP\nMAIL FROM:<x@y>\nRSET\n").code == 0)
        #expect(workspace.names("M/new").count == 1)
    }

    @Test(
        "A batch that ends inside of a transaction delivers what was whole before, and nothing else: 65",
        arguments: [
            "MAIL FROM:<a@b>\n", "MAIL FROM:<a@b>\nRCPT TO:<c@d>\n", "MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n",
            "MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nsecond\n", "MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nsecond\n.",
            "MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nsecond\n..\n", "QUI", "MAIL",
        ])
    func truncated(rest: String) async throws {
        let ran = try await read(whole + rest)
        #expect(ran.code == 65 && ran.diagnostics.hasPrefix("rsmtp: fatal: "))
        #expect(try workspace.texts("M/new") == ["Return-Path: <a@b>\nDelivered-To: c@d\nfirst\n"])
        #expect(workspace.names("M/tmp").isEmpty)
    }

    @Test(
        "What is no batch is refused: 65, and nothing is delivered",
        arguments: [
            "MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nx\n.\n", "HELO\n", "HELO x\nRCPT TO:<a@b>\n", "HELO x\nDATA\n",
            "HELO x\nMAIL FROM:<a@b>\nDATA\n", "HELO x\nMAIL FROM:<a@b>\nMAIL FROM:<a@b>\n", "HELO x\nMAIL FROM:a@b\n",
            "HELO x\nMAIL FROM:<a@b>x\n", "HELO x\nMAIL FROM:<a@b>\nRCPT TO:<>\n", "HELO x\nEXPN y\n", "HELO x\n\n",
            "HELO x\nQUIT\nNOOP\n", "HELO x\r\nNOOP\n", "From a@b Mon Jan 1\n", "HELO x\nMAIL FROM:<a b@c>\n",
            "HELO x\nQUIT now\n",
        ])
    func malformed(batch: String) async throws {
        let ran = try await read(batch)
        #expect(ran.code == 65 && ran.diagnostics.hasPrefix("rsmtp: fatal: "))
        #expect(workspace.names("M/new").isEmpty && workspace.names("M/tmp").isEmpty)
    }

    @Test("An empty input is no batch")
    func empty() async throws { #expect(try await read("").code == 65) }

    @Test("Messages go to a program, whose outcome decides", arguments: [(0, 0), (75, 75), (1, 75), (67, 65)])
    func program(ends: Int, code: Int) async throws {
        let program = try workspace.script(
            "inject", "printf '[%s]' \"$@\" > \"$0.args\"; cat > \"$0.in\"; exit \(ends)")
        let ran = try await run(
            "rsmtp", [], in: workspace, environment: ["SERIALMAIL_INJECT": program],
            input: "HELO x\nMAIL FROM:<>\nRCPT TO:<-c@d>\nRCPT TO:<e@f>\nDATA\nx\n.\n".bytes)
        #expect(ran.code == Int32(code))
        #expect(try workspace.text("inject.args") == "[-f][][--][-c@d][e@f]")
        #expect(try workspace.text("inject.in") == "x\n")
    }

    @Test("A program does not see the end of a message that has none")
    func killed() async throws {
        let program = try workspace.script("inject", "cat > \"$0.in\"; echo ended > \"$0.end\"")
        let ran = try await run(
            "rsmtp", [], in: workspace, environment: ["SERIALMAIL_INJECT": program],
            input: "HELO x\nMAIL FROM:<>\nRCPT TO:<c@d>\nDATA\nx\n".bytes)
        #expect(ran.code == 65 && !workspace.names("").contains("inject.end"))
    }

    @Test("No Maildir, or no program, is worth another try: 75; wrong arguments are 64")
    func unavailable() async throws {
        #expect(try await read(whole, ["-d", "none"]).code == 75)
        let ran = try await run(
            "rsmtp", [], in: workspace, environment: ["SERIALMAIL_INJECT": "/none/program"], input: whole.bytes)
        #expect(ran.code == 75)
        #expect(try await read(whole, ["x"]).code == 64)
    }
}

@Suite("rmail", .timeLimit(.minutes(5)))
struct ReceiveMailTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func receive(_ text: String, _ arguments: [String] = ["-d", "M", "c@d"]) async throws -> Ran {
        try await run("rmail", arguments, in: workspace, input: text.bytes)
    }

    @Test(
        "The From lines tell the sender, and are taken off",
        arguments: [
            ("From bob Mon Jan  1 00:00:00 2024 remote from here\n", "bob@here"),
            ("From bob@x.example Mon Jan  1 00:00:00 2024 remote from here\n", "bob@x.example"),
            ("From b Mon Jan 1 remote from near\n>From bob Mon Jan 1 remote from far\n", "near!far!bob"),
            ("From a!b!bob Mon Jan 1 remote from here\n", "here!a!b!bob"),
            ("From bob Mon Jan 1\n", "bob"), ("From <> Mon Jan 1 remote from here\n", ""),
            ("From <bob@x> Mon Jan 1\n", "bob@x"),
            ("From b \u{300}ob Mon Jan 1\n", "b"),
        ])
    func sender(lines: String, sender: String) async throws {
        let ran = try await receive(lines + "Subject: x\n\nFrom me\n")
        #expect(ran == Ran(code: 0, output: "", diagnostics: ""))
        #expect(
            try workspace.texts("M/new") == ["Return-Path: <\(sender)>\nDelivered-To: c@d\nSubject: x\n\nFrom me\n"])
    }

    @Test("Each address is a recipient, with the prefix in front")
    func recipients() async throws {
        #expect(try await receive("From a@b x\ny\n", ["-d", "M", "-p", "p-", "c@d", "e"]).code == 0)
        #expect(
            Set(try workspace.texts("M/new")) == [
                "Return-Path: <a@b>\nDelivered-To: p-c@d\ny\n", "Return-Path: <a@b>\nDelivered-To: p-e\ny\n",
            ])
    }

    @Test("A message without a From line is refused: 65; addresses that are none: 64; no Maildir: 75")
    func refused() async throws {
        #expect(try await receive("Subject: x\n\ny\n").code == 65)
        #expect(try await receive("").code == 65)
        #expect(try await receive("From a@b x\ny\n", ["-d", "M"]).code == 64)
        #expect(try await receive("From a@b x\ny\n", ["-d", "M", "c\nd"]).code == 64)
        #expect(try await receive("From a@b x\ny\n", ["-d", "none", "c@d"]).code == 75)
        #expect(workspace.names("M/new").isEmpty)
    }

    @Test("A long message passes whole")
    func long() async throws {
        let text = String(repeating: "0123456789\n", count: 50_000)
        #expect(try await receive("From a@b x\n" + text).code == 0)
        #expect(try workspace.texts("M/new").first?.hasSuffix("\nDelivered-To: c@d\n" + text) == true)
    }
}
