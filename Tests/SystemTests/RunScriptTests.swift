import Foundation
import Testing

extension SystemTests {
    /// `scripts/run` as a person uses it. It has the development cluster's own ports, so nothing else may be on them.
    @Suite("scripts/run", .serialized)
    struct RunScriptTests {
        @Test(
            "It takes mail, ends well on Ctrl-C, and finds the mail again; a second one beside it says why it cannot run"
        )
        func twice() async throws {
            try requireFreePorts()
            let home = try TemporaryFolder()
            defer { home.remove() }
            let first = try RunScript(home: home)
            let welcome = try await first.waitFor("pop3://localhost:1111/1")
            let password = try #require(welcome.firstMatch(of: #/bob@example\.test  password (\S+)/#)?.1)
            let bob = [
                "-sS", "--ssl-reqd", "--cacert", home.path + "/certs/ca.pem", "-u", "bob@example.test:\(password)",
            ]
            let message = SystemTests.message(subject: "kept")
            let sent = try await Peer.curl.run(
                [
                    "-sS", "smtp://127.0.0.1:2525", "--mail-from", "alice@example.test", "--mail-rcpt",
                    "bob@example.test", "-T", "-",
                ], input: Array(message.utf8))
            #expect(sent.status == 0, "\(sent.errors)")

            let other = try RunScript(home: home)
            #expect(try await other.ended() == 1)
            #expect(other.output.contains("error: 127.0.0.1:2525 is taken"), "\(other.output)")
            #expect(!other.output.contains("smtp-a"))

            first.interrupt()
            #expect(try await first.ended() == 0, "\(first.output)")
            try requireFreePorts()

            let second = try RunScript(home: home)
            _ = try await second.waitFor("made by an earlier start")
            let read = try await Peer.curl.run(bob + ["pop3://localhost:1111/1"])
            #expect(read.outputText.hasSuffix(message), "\(read.errors)")
            second.interrupt()
            #expect(try await second.ended() == 0, "\(second.output)")
        }

        @Test("Ctrl-C while it starts ends all that was started: status 130")
        func interruptedStart() async throws {
            try requireFreePorts()
            let home = try TemporaryFolder()
            defer { home.remove() }
            let script = try RunScript(home: home)
            _ = try await script.waitFor("msg=")
            script.interrupt()
            #expect(try await script.ended() == 130, "\(script.output)")
            try requireFreePorts()
        }

        @Test("A process that cannot start ends the start at once, and one that ends by itself is told: status 1")
        func endedProcess() async throws {
            try requireFreePorts()
            let home = try TemporaryFolder()
            defer { home.remove() }
            try FileManager.default.createDirectory(atPath: home.path + "/nodes", withIntermediateDirectories: true)
            let node = try home.write("nodes/store-2", "no folder")
            let broken = try RunScript(home: home)
            #expect(try await broken.ended() == 1)
            #expect(broken.output.contains("error: store-2 ended while the cluster was starting"), "\(broken.output)")
            try FileManager.default.removeItem(atPath: node)

            let script = try RunScript(home: home)
            _ = try await script.waitFor("pop3://localhost:1111/1")
            kill(try #require(script.processNumber(of: "pop3-b")), SIGKILL)
            _ = try await script.waitFor("pop3-b ended with status 137")
            script.interrupt()
            #expect(try await script.ended() == 1)
        }

        @Test("scripts/run --check of a folder that is not there is an error: status 2")
        func checkOfNothing() async throws {
            let outcome = try await Program.run(
                Tree.root + "/scripts/run", ["--check", "/nonexistent"], environment: ["HAUBERK_BINARY": Tree.hauberk])
            #expect(outcome.status == 2)
            #expect(outcome.errors == "error: /nonexistent is no folder\n")
        }

        private func requireFreePorts() throws {
            for port in [2525, 2526, 5587, 1110, 1111, 1995] where (try? RawConnection(port: port)) != nil {
                throw RunScript.Failed(description: "port \(port) is taken; this test needs those of scripts/run")
            }
        }
    }
}

/// `scripts/run` in the foreground of a terminal that somebody looks at.
private final class RunScript: @unchecked Sendable {
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    private let process = Process()
    private let log: String

    var number: Int32 { process.processIdentifier }
    var output: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    init(home: TemporaryFolder) throws {
        log = try home.write("run-\(UUID()).log", "")
        let file = FileHandle(forWritingAtPath: log)
        defer { try? file?.close() }
        // As in a terminal, whatever the tests' own parent ignores.
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["--default-signal=INT", Tree.root + "/scripts/run"]
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["HAUBERK_BINARY": Tree.hauberk, "HAUBERK_HOME": home.path]) { _, own in own }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = file
        process.standardError = file
        try TestCluster.withSignalsUnblocked { try process.run() }
    }

    deinit { if process.isRunning { kill(-number, SIGKILL) } }

    /// Ctrl-C reaches all that run in the terminal.
    func interrupt() { kill(-number, SIGINT) }

    /// The process of its own that serves a node.
    func processNumber(of node: String) -> Int32? {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { Int32($0) }.first { process in
            guard getpgid(process) == number,
                let line = try? String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8)
            else { return false }
            return line.contains("--node\0\(node)\0")
        }
    }

    /// Waits until it has said `words`, and returns all that it has said.
    func waitFor(_ words: String) async throws -> String {
        for _ in 0..<1200 {
            if output.contains(words) { return output }
            guard process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failed(description: "scripts/run never said \"\(words)\"\n\(output)")
    }

    /// Waits until it has ended, and returns its status.
    func ended() async throws -> Int32 {
        for _ in 0..<1200 where process.isRunning { try await Task.sleep(for: .milliseconds(50)) }
        guard !process.isRunning else { throw Failed(description: "scripts/run does not end\n\(output)") }
        return process.terminationStatus
    }
}
