import Cluster
import Membership
import Testing

@Suite("Configuration: warnings")
struct ForesightTests {
    private func warnings(
        _ cluster: String, host: String = "127.0.0.1", nodes: Int = 2
    ) throws -> [ConfigurationProblem] {
        let lines = (1...nodes).map { "  - {name: n\($0), lmtp: \"\(host):\($0)\", pop3: \"\(host):\($0 + 1000)\"}" }
        let text = "cluster:\n  \(cluster)\nnodes:\n" + lines.joined(separator: "\n")
        return try ClusterConfiguration.parse(text, file: "test.yaml").warnings
    }

    @Test("Several nodes on other machines want the ring's history, and are told its first line")
    func history() throws {
        let found = try warnings("name: far", host: "10.0.0.1")
        #expect(found.map(\.path) == ["cluster.epochs"])
        #expect(found[0].line == 2)
        #expect(found[0].message.contains("\"n1 n2\""))
        #expect(try warnings("epochs: [n1 n2]", host: "10.0.0.1").isEmpty)
        #expect(try warnings("name: near").isEmpty)
        let etcd = "\nmembership: {kind: etcd, etcd: {endpoints: [\"https://10.0.0.9:2379\"]}}"
        #expect(try warnings("name: far\(etcd)", host: "10.0.0.1").isEmpty)
        #expect(try warnings("name: single", host: "10.0.0.1", nodes: 1).isEmpty)
    }

    @Test("Fewer than 20 partitions for each node are too few for even loads")
    func partitions() throws {
        #expect(try warnings("partitions: 200", nodes: 10).isEmpty)
        let found = try warnings("partitions: 199", nodes: 10)
        #expect(found.map(\.path) == ["cluster.partitions"])
        #expect(found[0].line == 2)
        #expect(found[0].message.contains("a new cluster needs 200 or more"))
    }

    @Test("Partitions in a node's store that the ring gives to others are strays, and those that there cannot be")
    func strays() throws {
        let configuration = try ClusterConfiguration.parse(
            """
            cluster: {partitions: 64}
            nodes:
              - {name: a, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2"}
              - {name: b, lmtp: "127.0.0.1:3", pop3: "127.0.0.1:4"}
            """, file: "test.yaml")
        let map = ClusterMap(configuration)
        let node = try #require(map.ring.index(of: "a"))
        let own = (0..<64).filter { map.ring.owners(ofPartition: $0).contains(node) }
        #expect(map.strays(among: own, at: node).isEmpty)
        let others = (0..<64).filter { !own.contains($0) }
        #expect(map.strays(among: Array((0..<64).reversed()), at: node) == others)
        #expect(map.strays(among: [64, -1], at: node) == [-1, 64])
    }
}
