import Foundation
import Testing

@testable import Serialmail

@Suite("setlock, maildirmake, maildirsmtp and names", .timeLimit(.minutes(5)))
struct SmallProgramsTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    @Test("setlock runs the program with the file locked, and ends as it does")
    func locks() async throws {
        let ran = try await run(
            "setlock", ["lock", "sh", "-c", "flock -n lock true || echo held; exit 7"], in: workspace)
        #expect(ran == Ran(code: 7, output: "held\n", diagnostics: ""))
        #expect(workspace.names("").contains("lock"))
    }

    @Test("setlock -n does not wait, -x makes that silent, and the last of -nN and -xX counts")
    func locked() async throws {
        let file = open("\(workspace.path)/lock", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        #expect(flock(file, LOCK_EX) == 0)
        let failure = "setlock: fatal: unable to lock lock: temporary failure\n"
        for (options, code, text) in [
            ("-n", 111, failure), ("-nx", 0, ""), ("-nxX", 111, failure), ("-Nn", 111, failure),
        ] {
            let ran = try await run("setlock", [options, "lock", "echo", "ran"], in: workspace)
            #expect(ran == Ran(code: Int32(code), output: "", diagnostics: text))
        }
        #expect(flock(file, LOCK_UN) == 0)
        let ran = try await run("setlock", ["-nN", "lock", "echo", "ran"], in: workspace)
        #expect(ran.output == "ran\n" && ran.code == 0)
    }

    @Test("setlock waits until the file is free")
    func waits() async throws {
        let file = open("\(workspace.path)/lock", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        #expect(flock(file, LOCK_EX) == 0)
        async let ran = run("setlock", ["lock", "cat", "told"], in: workspace)
        try await Task.sleep(for: .milliseconds(100))
        try workspace.put("before", "told")
        close(file)
        #expect(try await ran.output == "before")
    }

    @Test("A file that cannot be opened, or a program that cannot be run, is 111; -x is silent of the first")
    func cannot() async throws {
        let failed = try await run("setlock", ["none/lock", "true"], in: workspace)
        #expect(failed.code == 111 && failed.diagnostics.hasPrefix("setlock: fatal: unable to open none/lock: "))
        let silent = try await run("setlock", ["-x", "none/lock", "true"], in: workspace)
        #expect(silent == Ran(code: 0, output: "", diagnostics: ""))
        let ran = try await run("setlock", ["lock", "/none/program"], in: workspace)
        #expect(ran.code == 111 && ran.diagnostics.hasPrefix("setlock: fatal: unable to run /none/program: "))
    }

    @Test("setlock tells its usage", arguments: [[], ["lock"], ["-z", "lock", "true"]])
    func usage(arguments: [String]) async throws {
        let ran = try await run("setlock", arguments, in: workspace)
        let usage = "setlock: usage: setlock [ -nNxX ] file program [ arg ... ]\n"
        #expect(ran == Ran(code: 100, output: "", diagnostics: usage))
    }

    @Test("maildirmake makes a Maildir, and not twice")
    func makes() async throws {
        let made = try await run("maildirmake", ["new-one"], in: workspace)
        #expect(made == Ran(code: 0, output: "", diagnostics: ""))
        #expect(workspace.names("new-one") == ["cur", "new", "tmp"])
        #expect(try await run("maildirmake", ["new-one"], in: workspace).code == 111)
        #expect(try await run("maildirmake", [], in: workspace).code == 100)
    }

    @Test("maildirsmtp and maildirqmtp are maildirserial -b -t 1209600 with tcpclient -RHl0 and their client")
    func shortcuts() async throws {
        let own = try workspace.script("own", "printf '[%s]' \"$@\" > \"$0.args\"; exit 100")
        for (name, arguments, expected) in [
            (
                "maildirsmtp", ["M", "bob-", "mx.example", "me.example"],
                "[mx.example][25][\(own)][serialsmtp][bob-][me.example]"
            ),
            ("maildirqmtp", ["M", "bob-", "mx.example"], "[mx.example][209][\(own)][serialqmtp][bob-]"),
        ] {
            try workspace.message("1")
            let ran = try await run(name, arguments, in: workspace, adjust: { $0.ownCommand = [own] })
            #expect(ran == Ran(code: 100, output: "", diagnostics: ""))
            #expect(try workspace.text("own.args") == "[tcpclient][-RHl0][--]" + expected)
            #expect(try await run(name, Array(arguments.dropLast()), in: workspace).code == 100)
        }
    }

    @Test("A program is found by the last component of the name that it is called by")
    func names() {
        #expect(SerialmailPrograms.named("/usr/local/bin/maildirsmtp") == "maildirsmtp")
        #expect(SerialmailPrograms.named("rmail") == "rmail")
        for name in ["hauberk", "/usr/bin/hauberk", "", "/", "maildirsmtp/x", "maildirsmtp2"] {
            #expect(SerialmailPrograms.named(name) == nil)
            #expect(SerialmailPrograms.runIfCalled([name, "status"], environment: [:]) == nil)
        }
    }
}

@Suite("Options", .timeLimit(.minutes(5)))
struct OptionScannerTests {
    private func scan(_ arguments: String..., known: String = "ab:c") -> String? {
        OptionScanner(arguments, known).map { scanned in
            scanned.options.map { "\($0.letter)=\($0.value)" }.joined(separator: " ") + "|"
                + scanned.rest.joined(separator: " ")
        }
    }

    @Test("Letters may stand together, and a value behind its letter or by itself")
    func forms() {
        #expect(scan("-ac", "x") == "a= c=|x")
        #expect(scan("-ab5", "x") == "a= b=5|x")
        #expect(scan("-b", "5", "x", "-a") == "b=5|x -a")
        #expect(scan("-b", "--", "x") == "b=--|x")
        #expect(scan("-a", "--", "-c") == "a=|-c")
        #expect(scan("-", "-a") == "|- -a")
        #expect(scan() == "|")
    }

    @Test("What is not known, or lacks its value, is an error")
    func errors() {
        #expect(scan("-d") == nil)
        #expect(scan("-b") == nil)
        #expect(scan("-:") == nil)
        #expect(scan("-ad") == nil)
    }
}
