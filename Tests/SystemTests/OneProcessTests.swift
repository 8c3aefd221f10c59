import Foundation
import Testing

/// `serve` without names: the whole cluster in one process.
@Suite("One process")
struct OneProcessTests {
    private let home: TemporaryFolder
    private let block: PortBlock
    private let configuration: String
    private let process = Process()

    init() throws {
        home = try TemporaryFolder()
        block = try PortBlock()
        let text = try String(contentsOfFile: Tree.root + "/cluster-config/dev.yaml", encoding: .utf8)
        var ports: [String: Int] = [:]
        let free = block.ports
        let moved = text.replacing(#/127\.0\.0\.1:(\d+)/#) { match in
            let port = ports[String(match.1)] ?? free[ports.count]
            ports[String(match.1)] = port
            return "127.0.0.1:\(port)"
        }
        configuration = try home.write(
            "cluster.yaml", moved.replacing("storage:\n", with: "storage:\n  drainTimeout: 1s\n"))
        smtpPorts = ["2525", "2526"].compactMap { ports[$0] }
    }

    private let smtpPorts: [Int]

    private var environment: [String: String] { ["HAUBERK_HOME": home.path, "HAUBERK_CONFIG": configuration] }

    private func start() throws {
        let log = home.path + "/log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        process.executableURL = URL(fileURLWithPath: Tree.hauberk)
        process.arguments = ["serve", "--init"]
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, own in own }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle(forWritingAtPath: log)
        // The threads of Dispatch block signals, and a child inherits that.
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
    }

    private func log() -> [Substring] { ((try? home.read("log")) ?? "").split(separator: "\n") }

    /// Waits until so many lines have these words.
    private func wait(for words: String, count: Int = 1) async throws {
        for _ in 0..<1200 where process.isRunning {
            if log().count(where: { $0.contains(words) }) >= count { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        try #require(log().count(where: { $0.contains(words) }) >= count, "\(words): \(log().suffix(20))")
    }

    private func reload(_ old: String, _ new: String, count: Int) async throws {
        let text = try home.read("cluster.yaml").replacing("logLevel: \(old)", with: "logLevel: \(new)")
        _ = try home.write("cluster.yaml", text)
        kill(process.processIdentifier, SIGHUP)
        try await wait(for: "msg=reloaded", count: count)
    }

    @Test("SIGHUP tells what it took at any level, and which certificates it read")
    func logLevels() async throws {
        defer { home.remove() }
        try start()
        defer { kill(process.processIdentifier, SIGKILL) }
        try await wait(for: "msg=ready", count: 7)
        try await reload("info", "error", count: 1)
        #expect(log().contains { $0.contains("msg=taken") && $0.contains("telemetry.logLevel: info is now error") })
        let files = log().filter { $0.contains("certificate read again") }
        #expect(files.count == 8)
        #expect(files.contains { $0.hasSuffix("file=\(home.path)/certs/frontend.pem") })
        try await reload("error", "info", count: 2)
        #expect(log().contains { $0.contains("telemetry.logLevel: error is now info") })
    }

    @Test("So many threads serve connections as the configuration says")
    func eventLoops() async throws {
        defer { home.remove() }
        _ = try home.write(
            "cluster.yaml", try home.read("cluster.yaml").replacing("eventLoops: 1\n", with: "eventLoops: 3\n"))
        try start()
        defer { kill(process.processIdentifier, SIGKILL) }
        try await wait(for: "msg=ready", count: 7)
        let threads = "/proc/\(process.processIdentifier)/task"
        let names = try FileManager.default.contentsOfDirectory(atPath: threads).map {
            try String(contentsOfFile: "\(threads)/\($0)/comm", encoding: .utf8)
        }
        #expect(names.count { $0.hasPrefix("NIO-SGLTN") && !$0.contains("TP") } == 3, "\(names)")
    }

    @Test("SIGTERM leaves all frontends the same time, and ends what is still there when it is over")
    func deadline() async throws {
        defer { home.remove() }
        try start()
        defer { kill(process.processIdentifier, SIGKILL) }
        try await wait(for: "msg=ready", count: 7)
        for arguments in [["domain", "add", "example.test"], ["account", "add", "alice@example.test", "--generate"]] {
            let outcome = try await Program.run(Tree.hauberk, arguments, environment: environment)
            try #require(outcome.status == 0, "\(outcome.errors)")
        }
        var clients: [RawConnection] = []
        for port in smtpPorts {
            let client = try RawConnection(port: port)
            try #require(try await client.reply()?.hasPrefix("220") == true)
            for command in ["EHLO test.example", "MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA"] {
                try await client.send(command + "\r\n")
                let reply = try #require(try await client.reply())
                #expect(reply.hasPrefix("2") || reply.hasPrefix("354"), "\(command): \(reply)")
            }
            try await client.send("Subject: half a messa")
            clients.append(client)
        }
        process.terminate()
        for _ in 0..<1200 where process.isRunning { try await Task.sleep(for: .milliseconds(50)) }
        try #require(!process.isRunning, "\(log().suffix(20))")
        #expect(process.terminationStatus == 0)
        let events = log().filter { $0.contains("logger=smtp-") }
        let lastDraining = try #require(events.lastIndex { $0.contains("msg=draining") })
        let firstStopped = try #require(events.firstIndex { $0.contains("msg=stopped") })
        #expect(lastDraining < firstStopped, "\(events)")
        #expect(log().count { $0.contains("msg=stopped") } == 7)
        withExtendedLifetime(clients) {}
    }
}
