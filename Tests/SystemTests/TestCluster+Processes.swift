import Foundation
import Synchronization
import Testing

/// What an operator, a power cut or a broken kernel does to single processes of the cluster.
extension TestCluster {
    /// Sends a signal to the process of one frontend or storage node.
    func signal(_ number: Int32, _ name: String) throws {
        let process = try #require(processes.withLock { $0[name] })
        Foundation.kill(process.processIdentifier, number)
    }

    /// Waits until a process has ended, and forgets it. Returns its exit status; a signal's is negative.
    @discardableResult
    func ended(_ name: String) async throws -> Int32 {
        let process = try #require(processes.withLock { $0[name] })
        for _ in 0..<1200 where process.isRunning { try await Task.sleep(for: .milliseconds(25)) }
        try #require(!process.isRunning, "\(name) does not end\n\(log(name))")
        processes.withLock { $0[name] = nil }
        return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }

    /// Kills a process as a power cut would.
    func crash(_ name: String) async throws {
        try signal(SIGKILL, name)
        try await ended(name)
    }

    /// Starts a process again, and waits until it listens.
    func restart(_ name: String, _ developmentPorts: [Int], makesHome: Bool = true) async throws {
        try start(node: name, makesHome: makesHome)
        try await waitUntilListening(developmentPorts)
    }

    func isRunning(_ name: String) -> Bool { processes.withLock { $0[name]?.isRunning ?? false } }

    func processNumber(_ name: String) throws -> Int32 {
        try #require(processes.withLock { $0[name] }).processIdentifier
    }

    /// Everything that a process has logged so far.
    func log(_ name: String) -> String { (try? home.read("\(name).log")) ?? "" }

    /// Waits until a process has logged `words` at least `count` times, and returns the last line that has them.
    @discardableResult
    func waitForLog(_ name: String, _ words: String, count: Int = 1) async throws -> String {
        for _ in 0..<1200 {
            let lines = log(name).split(separator: "\n").filter { $0.contains(words) }
            if lines.count >= count, let last = lines.last { return String(last) }
            try await Task.sleep(for: .milliseconds(25))
        }
        throw Failed(description: "\(name) never logged \"\(words)\" \(count) times\n\(log(name).suffix(2000))")
    }

    /// How often a process has logged `words`.
    func logCount(_ name: String, _ words: String) -> Int {
        log(name).split(separator: "\n").count { $0.contains(words) }
    }

    /// Changes the cluster's configuration file.
    func rewriteConfiguration(_ change: (String) -> String) throws {
        let text = try home.read("cluster.yaml")
        _ = try home.write("cluster.yaml", change(text))
    }

    /// Makes a process read its configuration again, and waits until it says what came of it.
    /// - Returns: what it logged meanwhile.
    func reload(_ name: String, expecting outcome: String = "msg=reloaded") async throws -> String {
        let before = log(name).count
        let count = logCount(name, outcome)
        try signal(SIGHUP, name)
        try await waitForLog(name, outcome, count: count + 1)
        return String(log(name).dropFirst(before))
    }

    // MARK: places

    /// The storage node of a mailbox, and the mailbox's folder there.
    func place(of mailbox: String) async throws -> (node: String, folder: String) {
        let text = try await hauberk(["locate", "--mailbox", mailbox, "--json"])
        let owner = try JSONValue(Data(text.utf8))["mailboxes"][0]["owners"][0]
        return (try #require(owner["node"].string), try #require(owner["folder"].string))
    }

    /// An account whose mailbox is on one storage node.
    func makeAccount(on node: String, options: [String] = []) async throws -> Account {
        while true {
            let account = nextAccount()
            guard try await place(of: account.address).node == node else { continue }
            try await add(account, options: options)
            return account
        }
    }
}
