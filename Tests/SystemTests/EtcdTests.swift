import Foundation
import Testing

extension SystemTests {
    @Suite("The membership from etcd")
    struct EtcdTests {
        @Test(
            "A node comes and another goes while a member of etcd is dead; without etcd all goes on, also after a start"
        )
        func growth() async throws {
            let etcd = try EtcdMembers()
            defer { etcd.end() }
            try await etcd.start()
            try await TestCluster.run { text in
                GrowthStory.configuration(text, replicas: 2)
                    + "\nmembership:\n  kind: etcd\n  etcd: {endpoints: [\(etcd.endpoints)], leaseTime: 3s, timeout: 2s}\n"
            } prepare: { cluster in
                try await cluster.hauberk(["membership", "init"])
            } _: { cluster in
                try await GrowthStory(cluster: cluster, reloads: false) { etcd.kill(1) }.run()
                try await withoutEtcd(cluster, etcd)
            }
        }

        private func withoutEtcd(_ cluster: TestCluster, _ etcd: EtcdMembers) async throws {
            let account = try await cluster.makeAccount()
            #expect(try await cluster.deliver("Subject: before\r\n\r\n", to: account).hasPrefix("250"))
            etcd.end()
            try await cluster.crash("pop3-a")
            try await cluster.crash("store-2")
            try await cluster.restart("store-2", [2402, 1102])
            try await cluster.restart("pop3-a", [1110])
            #expect(cluster.log("store-2").contains("going on with the membership in the cache"))
            #expect(try await cluster.deliver("Subject: after\r\n\r\n", to: account).hasPrefix("250"))
            #expect(try await cluster.messages(account).count == 2)
            let change = try await Program.run(
                Tree.hauberk, ["node", "drain", "store-2", "--config", cluster.configuration],
                environment: cluster.environment)
            #expect(change.status == 1, "\(change.outputText)")
        }
    }
}

/// Three members of etcd on the loopback address, with data in a folder of their own.
private final class EtcdMembers: @unchecked Sendable {
    private let folder: TemporaryFolder
    private let block: PortBlock
    private var processes: [Process] = []

    private static let count = 3

    init() throws {
        folder = try TemporaryFolder()
        block = try PortBlock()
    }

    private func port(_ member: Int) -> Int { block.ports[2 * member] }
    private func peerPort(_ member: Int) -> Int { block.ports[2 * member + 1] }

    /// As the configuration has them. Not by number: those of 127.0.0.1 are the cluster's own.
    var endpoints: String { (0..<Self.count).map { "\"http://localhost:\(port($0))\"" }.joined(separator: ", ") }

    func start() async throws {
        let program = try await Peer.etcd.located()
        let peers = (0..<Self.count).map { "m\($0)=http://127.0.0.1:\(peerPort($0))" }.joined(separator: ",")
        for member in 0..<Self.count {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: program)
            let (client, peer) = ("http://127.0.0.1:\(port(member))", "http://127.0.0.1:\(peerPort(member))")
            process.arguments = [
                "--name", "m\(member)", "--data-dir", "\(folder.path)/m\(member)", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", peers, "--logger", "zap", "--log-level", "error",
            ]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try TestCluster.withSignalsUnblocked { try process.run() }
            processes.append(process)
        }
        for member in 0..<Self.count {
            var tries = 0
            while (try? RawConnection(port: port(member))) == nil {
                tries += 1
                guard tries < 600 else { throw TestCluster.Failed(description: "etcd does not listen") }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    func kill(_ member: Int) { Foundation.kill(processes[member].processIdentifier, SIGKILL) }

    /// Kills all, and removes what they had.
    func end() {
        for process in processes where process.isRunning {
            Foundation.kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        folder.remove()
    }
}
