import Foundation
import Synchronization
import Testing

extension SystemTests {
    @Suite("Growth with one copy of each mailbox", .cluster { GrowthStory.configuration($0, replicas: 1) })
    struct GrowthTests {
        @Test("Once every node has compared its mailboxes with their owners, deletions may be forgotten by age")
        func forgetting() async throws { try await GrowthStory(cluster: try SystemTests.cluster()).forget() }

        @Test("A node comes, another is emptied and goes, mail flows, and no command fails")
        func growth() async throws { try await GrowthStory(cluster: try SystemTests.cluster()).run() }
    }

    @Suite("Growth with two copies of each mailbox", .cluster { GrowthStory.configuration($0, replicas: 2) })
    struct GrowthWithCopiesTests {
        @Test("Once every node has compared its mailboxes with their owners, deletions may be forgotten by age")
        func forgetting() async throws { try await GrowthStory(cluster: try SystemTests.cluster()).forget() }

        @Test("A node comes, another is emptied and goes, mail flows, and no command fails")
        func growth() async throws { try await GrowthStory(cluster: try SystemTests.cluster()).run() }
    }
}

/// A cluster of three nodes gets a fourth, and the first one leaves.
struct GrowthStory {
    let cluster: TestCluster
    /// Whether processes hear of an epoch by SIGHUP.
    var reloads = true
    /// What happens meanwhile.
    var disturbance: () -> Void = {}

    static func configuration(_ text: String, replicas: Int) -> String {
        text.replacing(#/partitions: \d+/#, with: "partitions: 64")
            .replacing(#/replicas: \d+/#, with: "replicas: \(replicas)")
            .replacing(#/durableCopies: \d+/#, with: "durableCopies: \(replicas)")
    }

    private static let frontends = ["smtp-a", "smtp-b", "pop3-a", "pop3-b"]
    private static let accounts = 16

    func run() async throws {
        var accounts: [TestCluster.Account] = []
        for _ in 0..<Self.accounts { accounts.append(try await cluster.makeAccount()) }
        for account in accounts {
            for number in 1...3 { try await deliver("before \(number)", to: account) }
        }
        let first = accounts[0]
        let load = Load(cluster: cluster, accounts: Array(accounts.dropFirst()))
        let running = Task { await load.run() }
        let outcome = await Result { try await change(first) }
        load.stop()
        await running.value
        try outcome.get()
        #expect(load.failures == [])
        #expect(load.delivered > 0 && load.logins > 0)
        for port in [1110, 1111] {
            #expect(try await cluster.messages(first, port: port).count == 2)
            for account in accounts.dropFirst() {
                let count = try await cluster.messages(account, port: port).count
                #expect(count == 3 + load.delivered(to: account), "\(account.address)")
            }
        }
    }

    /// Waits until all nodes tell up to when deletions may be forgotten.
    func forget() async throws {
        struct Status: Decodable {
            struct Node: Decodable { let forgets: Int? }
            let nodes: [Node]
        }
        var limits: [Int?] = [nil]
        for _ in 0..<600 where limits.contains(nil) {
            let status = try await cluster.hauberk(["status", "--json"])
            limits = try JSONDecoder().decode(Status.self, from: Data(status.utf8)).nodes.map(\.forgets)
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(limits.count == 3)
        // The grace time is a week, and the window for what is sent again a day.
        for limit in limits { #expect(abs((limit ?? 0) + 8 * 86_400 - time(nil)) < 2 * 3600, "\(limits)") }
    }

    private func change(_ first: TestCluster.Account) async throws {
        let session = try await cluster.login(first)
        disturbance()
        try await cluster.hauberk([
            "node", "add", "store-4", "--lmtp", "unix:\(cluster.home.path)/4.lmtp", "--pop3",
            "unix:\(cluster.home.path)/4.pop3",
        ])
        try cluster.start(node: "store-4")
        try await cluster.waitForLog("store-4", "msg=ready")
        try await takeEpoch(["store-1", "store-2", "store-3"])
        try await untilMoved()
        #expect(try messageFiles("store-4") > 0)

        try await cluster.hauberk(["node", "drain", "store-1"])
        try await takeEpoch(["store-1", "store-2", "store-3", "store-4"])
        // The session that was open all the time still sees its maildrop, wherever it is.
        #expect(try await session.ask("STAT").hasPrefix("+OK 3 "))
        for number in 1...3 { #expect(try await session.retrieve(number).isEmpty == false) }
        #expect(try await session.ask("DELE 2").hasPrefix("+OK"))
        #expect(try await session.ask("QUIT").hasPrefix("+OK"))
        try await untilMoved()
        #expect(try messageFiles("store-1") == 0)
        try await cluster.hauberk(["ring", "settle"])
        try await takeEpoch(["store-1", "store-2", "store-3", "store-4"])
        try await cluster.hauberk(["node", "remove", "store-1"])
        try await takeEpoch(["store-2", "store-3", "store-4"])
        if !reloads { try await cluster.waitForLog("store-2", "nodes[store-1].name: is gone") }
        try cluster.signal(SIGTERM, "store-1")
        #expect(try await cluster.ended("store-1") == 0)
    }

    private func deliver(_ subject: String, to account: TestCluster.Account) async throws {
        let reply = try await cluster.deliver("Subject: \(subject)\r\n\r\ntext\r\n", to: account)
        #expect(reply.hasPrefix("250"))
    }

    /// Storage nodes first: they know where mail is that frontends look for at its old place.
    private func takeEpoch(_ nodes: [String]) async throws {
        guard reloads else { return }
        for name in nodes + Self.frontends { _ = try await cluster.reload(name) }
    }

    func untilMoved() async throws {
        var status = ""
        for _ in 0..<600 {
            let outcome = try await Program.run(
                Tree.hauberk, ["status", "--json", "--config", cluster.configuration], environment: cluster.environment)
            status = outcome.outputText
            if outcome.status == 0, try JSONValue(Data(status.utf8))["hasMoved"].bool == true { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        Issue.record("mail did not come to its owners: \(status)")
    }

    private func messageFiles(_ node: String) throws -> Int {
        let root = cluster.home.path + "/nodes/\(node)/mail"
        let paths = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return paths.count { $0.contains("/new/") || $0.contains("/cur/") }
    }
}

/// Clients that go on sending and reading whatever happens to the ring.
private final class Load: Sendable {
    private struct State {
        var isStopped = false
        var failures: [String] = []
        var delivered: [String: Int] = [:]
        var logins = 0
    }

    private let cluster: TestCluster
    private let accounts: [TestCluster.Account]
    private let state = Mutex(State())

    init(cluster: TestCluster, accounts: [TestCluster.Account]) {
        self.cluster = cluster
        self.accounts = accounts
    }

    var failures: [String] { state.withLock { $0.failures } }
    var delivered: Int { state.withLock { $0.delivered.values.reduce(0, +) } }
    var logins: Int { state.withLock { $0.logins } }
    func delivered(to account: TestCluster.Account) -> Int { state.withLock { $0.delivered[account.address] ?? 0 } }
    func stop() { state.withLock { $0.isStopped = true } }

    func run() async {
        var round = 0
        while !state.withLock({ $0.isStopped }) {
            let account = accounts[round % accounts.count]
            do {
                let reply = try await cluster.deliver("Subject: load \(round)\r\n\r\ntext\r\n", to: account)
                state.withLock { state in
                    if reply.hasPrefix("250") {
                        state.delivered[account.address, default: 0] += 1
                    } else {
                        state.failures.append(reply)
                    }
                }
                let count = try await cluster.messages(account, port: round % 2 == 0 ? 1110 : 1111).count
                state.withLock { state in
                    state.logins += 1
                    let expected = 3 + (state.delivered[account.address] ?? 0)
                    if count != expected { state.failures.append("\(account.address): \(count) of \(expected)") }
                }
            } catch {
                state.withLock { $0.failures.append("\(error)") }
            }
            round += 1
        }
    }
}

extension Result where Failure == any Error {
    init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
