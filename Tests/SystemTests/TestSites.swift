import Foundation
import Synchronization
import Testing

/// Several clusters that bring each other their messages and deletions. Each has one frontend and two storage nodes, which
/// both own every mailbox.
final class TestSites: Sendable {
    static let frontend = "front"
    static let nodes = ["store-1", "store-2"]
    /// What the processes listen on, as the configuration says it.
    static let ports = ["front": [2525, 5587, 1110], "store-1": [2401, 1101], "store-2": [2402, 1102]]
    private static let secret = "known to two sites"

    let clusters: [String: TestCluster]

    private init(_ clusters: [String: TestCluster]) { self.clusters = clusters }

    subscript(site: String) -> TestCluster {
        get throws { try #require(clusters[site]) }
    }

    /// - Parameters:
    ///   - peers: which sites each site brings its mail.
    ///   - domains: what they share, as the configuration says it.
    ///   - more: what else the configuration says of each peer.
    static func run(
        _ peers: [String: [String]], domains: String = "[]", more: String = "",
        _ body: (TestSites) async throws -> Void
    ) async throws {
        let more = "domains: \(domains)" + (more.isEmpty ? "" : ", \(more)")
        let sites = try await start(peers.keys.sorted()[...], peers, more, [:])
        do {
            try await body(sites)
        } catch {
            await sites.stop()
            throw error
        }
        await sites.stop()
    }

    /// Each cluster starts when all have their ports and certificates.
    private static func start(
        _ names: ArraySlice<String>, _ peers: [String: [String]], _ more: String,
        _ prepared: [String: TestCluster]
    ) async throws -> TestSites {
        guard let name = names.first else {
            for (name, cluster) in prepared {
                try join(cluster, to: peers[name] ?? [], of: prepared, peers, more, name)
            }
            return TestSites([:])
        }
        let others = Mutex<TestSites?>(nil)
        let cluster = try await TestCluster.start(change: { _ in TestCluster.twoNodes(named: name) }) { cluster in
            try await cluster.hauberk(["certs", "listener"])
            _ = try cluster.home.write("secret", secret + "\n")
            let sites = try await start(
                names.dropFirst(), peers, more, prepared.merging([name: cluster]) { $1 })
            others.withLock { $0 = sites }
        }
        return TestSites((others.withLock { $0 }?.clusters ?? [:]).merging([name: cluster]) { $1 })
    }

    /// Says in a site's configuration who its peers are, and who may come to it.
    private static func join(
        _ cluster: TestCluster, to peers: [String], of all: [String: TestCluster], _ links: [String: [String]],
        _ more: String, _ name: String
    ) throws {
        let comers = links.filter { $1.contains(name) && !peers.contains($0) }.keys
        let entries =
            try peers.map { peer in
                let other = try #require(all[peer])
                return
                    "{name: \(peer), addresses: [\"localhost:\(other.port(5587))\"], secretFile: secret, \(more), "
                    + "pinnedCertificate: \(other.home.path)/certs/frontend.pem}"
            } + comers.map { "{name: \($0), secretFile: secret, \(more)}" }
        try cluster.rewriteConfiguration {
            $0.replacing(#/(?m)^sites: .*\n/#, with: "") + "sites: [\(entries.joined(separator: ", "))]\n"
        }
    }

    /// Has sites bring each other their mail from now on: `peers` as in `run`.
    func link(_ peers: [String: [String]]) async throws {
        for (name, cluster) in clusters {
            try Self.join(cluster, to: peers[name] ?? [], of: clusters, peers, "domains: []", name)
        }
        for name in clusters.keys {
            try await crash(name)
            try await restart(name)
        }
    }

    func stop() async {
        for cluster in clusters.values { await cluster.stop() }
    }

    /// An account that all sites have, or these.
    func makeAccount(at sites: [String]? = nil) async throws -> TestCluster.Account {
        let counter = try #require(clusters.min { $0.key < $1.key }).value
        let account = counter.nextAccount()
        for site in sites ?? Array(clusters.keys) { try await self[site].add(account, options: []) }
        return account
    }

    /// Kills every process of a site.
    func crash(_ site: String) async throws {
        for name in [Self.frontend] + Self.nodes { try await self[site].crash(name) }
    }

    /// Loses what a node of a site has on disk, whose process was killed.
    func loseDisk(_ site: String, _ node: String) throws {
        try FileManager.default.removeItem(atPath: "\(try self[site].home.path)/nodes/\(node)")
    }

    func restart(_ site: String) async throws {
        for name in Self.nodes + [Self.frontend] { try await self[site].restart(name, Self.ports[name] ?? []) }
    }

    /// A maildrop as a site shows it: each message's UIDL and bytes.
    func maildrop(_ account: TestCluster.Account, at site: String) async throws -> [String: [UInt8]] {
        let connection = try await self[site].login(account)
        var messages: [String: [UInt8]] = [:]
        for (index, line) in try await connection.listing("UIDL").enumerated() {
            let identity = line.split(separator: " ").last.map(String.init) ?? ""
            // One that is deleted meanwhile is not there.
            if let bytes = try? await connection.retrieve(index + 1) { messages[identity] = bytes }
        }
        _ = try await connection.ask("QUIT")
        return messages
    }

    /// Waits until all sites show the same maildrop with so many messages, and returns it.
    @discardableResult
    func converge(_ account: TestCluster.Account, count: Int) async throws -> [String: [UInt8]] {
        var shown: [String: [String: [UInt8]]] = [:]
        for _ in 0..<600 {
            for site in clusters.keys { shown[site] = try await maildrop(account, at: site) }
            if let first = shown.values.first, first.count == count, shown.values.allSatisfy({ $0 == first }) {
                return first
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        let counts = shown.mapValues { $0.keys.sorted() }
        throw TestCluster.Failed(description: "the sites never showed the same \(count) messages: \(counts)")
    }

    /// Deletes messages by their UIDLs.
    func delete(_ identities: Set<String>, of account: TestCluster.Account, at site: String) async throws {
        let connection = try await self[site].login(account)
        for (index, line) in try await connection.listing("UIDL").enumerated()
        where identities.contains(line.split(separator: " ").last.map(String.init) ?? "") {
            let reply = try await connection.ask("DELE \(index + 1)")
            try #require(reply.hasPrefix("+OK"))
        }
        let reply = try await connection.ask("QUIT")
        try #require(reply.hasPrefix("+OK"), "\(reply)")
    }

    /// Files that wait on a site's nodes for other sites.
    func waiting(at site: String) throws -> [String] {
        let cluster = try self[site]
        return Self.nodes.flatMap { node -> [String] in
            let spool = "\(cluster.home.path)/nodes/\(node)/spool"
            let all = FileManager.default.enumerator(atPath: spool)?.compactMap { $0 as? String } ?? []
            return all.filter { path in
                let parts = path.split(separator: "/")
                return parts.count == 6 && parts[0].hasPrefix("site-") && ["new", "gone"].contains(parts[4])
            }
        }
    }
}
