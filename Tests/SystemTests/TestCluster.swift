import Foundation
import Synchronization
import Testing

/// The development cluster on free ports, one process per node, with data in a folder of its own.
final class TestCluster: Sendable {
    /// The cluster of the suite that runs; see `ClusterTrait`.
    @TaskLocal static var current: TestCluster?

    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    /// One account that a test made for itself.
    struct Account: Sendable {
        let address: String
        let password: String
    }

    let home: TemporaryFolder
    let configuration: String
    let nodes: [String]
    private let ports: [Int: Int]
    private let block: PortBlock
    let processes = Mutex<[String: Process]>([:])
    private let accountCount = Mutex(0)

    /// Starts all nodes and waits until they listen.
    /// - Parameter change: makes the configuration of `cluster-config/dev.yaml` what the suite needs.
    /// - Parameter prepare: what has to be done before.
    static func start(
        change: (String) -> String, prepare: (TestCluster) async throws -> Void = { _ in }
    ) async throws -> TestCluster {
        let cluster = try TestCluster(change: change)
        do {
            try await prepare(cluster)
            try cluster.startAll()
            try await cluster.waitUntilListening()
            _ = try await cluster.hauberk(["domain", "add", "example.test"])
        } catch {
            await cluster.stop()
            throw error
        }
        return cluster
    }

    /// Starts a cluster for `body`, and ends it whatever comes of that; `change` and `prepare` as in `start`.
    static func run<Value>(
        change: (String) -> String, prepare: (TestCluster) async throws -> Void = { _ in },
        _ body: (TestCluster) async throws -> Value
    ) async throws -> Value {
        let cluster = try await start(change: change, prepare: prepare)
        do {
            let value = try await body(cluster)
            await cluster.stop()
            return value
        } catch {
            await cluster.stop()
            throw error
        }
    }

    /// Where the development cluster's storage nodes listen.
    static let storePorts = ["store-1": [2401, 1101], "store-2": [2402, 1102], "store-3": [2403, 1103]]

    /// A configuration of one copy, with two of each mailbox, both durable before the 250.
    static func twoCopies(_ configuration: String) -> String {
        configuration.replacing(#/replicas: \d+/#, with: "replicas: 2")
            .replacing(#/durableCopies: \d+/#, with: "durableCopies: 2")
    }

    /// The configuration of a cluster with one frontend and two storage nodes, which both own every mailbox.
    static func twoNodes(named name: String, authentication: String = "requireTLS: false") -> String {
        """
        cluster: {name: \(name), partitions: 64, replicas: 2, durableCopies: 2}
        hostname: \(name).example.test
        trust: {mode: local}
        authentication: {\(authentication)}
        delivery: {connectTimeout: 1s, reconnectDelayMax: 500ms}
        frontends:
          - name: front
            tls: {certificate: certs/frontend.pem, key: certs/frontend.key}
            listeners:
              - {service: smtp, address: "127.0.0.1:2525"}
              - {service: submission, address: "127.0.0.1:5587"}
              - {service: pop3, address: "127.0.0.1:1110"}
        nodes:
          - name: store-1
            lmtp: 127.0.0.1:2401
            pop3: 127.0.0.1:1101
          - name: store-2
            lmtp: 127.0.0.1:2402
            pop3: 127.0.0.1:1102

        """
    }

    private init(change: (String) -> String) throws {
        home = try TemporaryFolder()
        block = try PortBlock()
        let source = URL(fileURLWithPath: Tree.root + "/cluster-config/dev.yaml")
        // One copy of each mailbox, so that it is known where a message lies; suites on copies ask for more.
        let text = change(
            String(decoding: try Data(contentsOf: source), as: UTF8.self)
                .replacing(#/replicas: \d+/#, with: "replicas: 1")
                .replacing(#/durableCopies: \d+/#, with: "durableCopies: 1"))
        var ports: [Int: Int] = [:]
        let free = block.ports
        let moved = text.replacing(#/127\.0\.0\.1:(\d+)/#) { match -> String in
            guard let port = Int(match.1) else { return String(match.0) }
            let new = ports[port] ?? free[ports.count]
            ports[port] = new
            return "127.0.0.1:\(new)"
        }
        self.ports = ports
        nodes = moved.matches(of: #/(?m)^\s*-\s*name:\s*(\S+)/#).map { String($0.1) }
        configuration = try home.write("cluster.yaml", moved)
    }

    /// Where a port of the development cluster's is in this one.
    func port(_ developmentPort: Int) -> Int { ports[developmentPort] ?? developmentPort }

    var environment: [String: String] { ["HAUBERK_HOME": home.path, "HAUBERK_CONFIG": configuration] }
    var caFile: String { home.path + "/certs/ca.pem" }

    // MARK: processes

    private func startAll() throws {
        for node in nodes { try start(node: node) }
    }

    /// - Parameter makesHome: whether it makes what is missing, and opens the directory for that.
    func start(node: String, makesHome: Bool = true) throws {
        let log = home.path + "/\(node).log"
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tree.hauberk)
        process.arguments = ["serve", "--config", configuration, "--node", node] + (makesHome ? ["--init"] : [])
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, own in own }
        process.standardInput = FileHandle.nullDevice
        let output = FileHandle(forWritingAtPath: log)
        defer { try? output?.close() }
        output?.seekToEndOfFile()
        process.standardOutput = output
        process.standardError = output
        try Self.withSignalsUnblocked { try process.run() }
        processes.withLock { $0[node] = process }
    }

    /// The threads of Dispatch block signals, and a child inherits that: it would never see SIGTERM.
    static func withSignalsUnblocked(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    private func waitUntilListening() async throws {
        try await waitUntilListening(ports.keys.sorted())
    }

    /// - Parameter developmentPorts: as the development cluster has them.
    func waitUntilListening(_ developmentPorts: [Int]) async throws {
        for port in developmentPorts.map({ self.port($0) }) {
            var tries = 0
            while (try? RawConnection(port: port)) == nil {
                tries += 1
                guard tries < 1200, processes.withLock({ $0.values.allSatisfy(\.isRunning) }) else {
                    throw Failed(description: "nothing listens on \(port)\n\(logs())")
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// What all processes hold in memory together, as proc(5) says it.
    func residentKilobytes() throws -> Int {
        try processes.withLock { $0.values.map(\.processIdentifier) }.reduce(0) { sum, number in
            let status = try String(contentsOfFile: "/proc/\(number)/status", encoding: .utf8)
            return sum + (status.firstMatch(of: #/VmRSS:\s+(\d+)/#).flatMap { Int($0.1) } ?? 0)
        }
    }

    /// Ends all processes as an operator would (SIGTERM), and with them the data.
    func stop() async {
        let running = processes.withLock { $0.values.filter(\.isRunning) }
        for process in running { process.terminate() }
        for process in running {
            for _ in 0..<600 where process.isRunning { try? await Task.sleep(for: .milliseconds(50)) }
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
            if process.isRunning || process.terminationStatus != 0 {
                Issue.record(
                    "\(process.arguments?.joined(separator: " ") ?? "") did not end well on SIGTERM\n\(logs())")
            }
        }
        home.remove()
    }

    private func logs() -> String {
        nodes.map { node in
            let text = (try? home.read("\(node).log")) ?? ""
            return text.split(separator: "\n").suffix(5).map { "\(node): \($0)" }.joined(separator: "\n")
        }.joined(separator: "\n")
    }

    // MARK: administration and mail

    @discardableResult
    func hauberk(_ arguments: [String], input: String = "") async throws -> String {
        let outcome = try await Program.run(
            Tree.hauberk, arguments + ["--config", configuration], input: Array(input.utf8), environment: environment)
        guard outcome.status == 0 else {
            throw Failed(description: "hauberk \(arguments): \(outcome.errors)")
        }
        return outcome.outputText
    }

    /// - Parameter options: more of what `account add` takes.
    func makeAccount(options: [String] = []) async throws -> Account {
        let account = nextAccount()
        try await add(account, options: options)
        return account
    }

    func nextAccount() -> Account {
        let number = accountCount.withLock { count in
            count += 1
            return count
        }
        return Account(address: "user\(number)@example.test", password: "secret-\(number)")
    }

    func add(_ account: Account, options: [String]) async throws {
        try await hauberk(
            ["account", "add", account.address, "--password-stdin"] + options, input: account.password + "\n")
    }

    /// How many messages a maildrop has, as POP3's LIST shows them at the second frontend.
    func messageCount(_ account: Account) async throws -> Int {
        let list = try await pop3(account, "")
        return list.utf8.split(separator: UInt8(ascii: "\n")).count { $0.first != UInt8(ascii: "\r") }
    }

    /// A message as POP3 gives it at the second frontend.
    func message(_ number: Int, of account: Account) async throws -> String {
        try await pop3(account, "\(number)")
    }

    /// What a process counts under a name, all of its series together.
    func counter(_ name: String, port developmentPort: Int) async throws -> Int {
        let page = try await Peer.curl.run(["-sSf", "http://localhost:\(port(developmentPort))/metrics"])
        try #require(page.status == 0, "\(page.errors)")
        let lines = page.outputText.split(separator: "\n").filter { $0.hasPrefix(name) }
        try #require(!lines.isEmpty, "\(page.outputText)")
        return try lines.reduce(0) { sum, line in
            try sum + #require(line.split(separator: " ").last.flatMap { Int($0) })
        }
    }

    private func pop3(_ account: Account, _ path: String) async throws -> String {
        let outcome = try await Peer.curl.run([
            "-sS", "--ssl-reqd", "--cacert", caFile, "-u", "\(account.address):\(account.password)",
            "pop3://localhost:\(port(1111))/\(path)",
        ])
        guard outcome.status == 0 else { throw Failed(description: "curl: \(outcome.errors)") }
        return outcome.outputText
    }
}

/// Gives a suite a cluster of its own, which lives as long as the suite's tests.
struct ClusterTrait: SuiteTrait, TestScoping {
    let change: @Sendable (String) -> String

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await TestCluster.run(change: change) { cluster in
            try await TestCluster.$current.withValue(cluster) { try await function() }
        }
    }
}

extension Trait where Self == ClusterTrait {
    static var cluster: Self { ClusterTrait { $0 } }

    /// A cluster whose configuration differs from the development cluster's.
    static func cluster(_ change: @escaping @Sendable (String) -> String) -> Self { ClusterTrait(change: change) }
}
