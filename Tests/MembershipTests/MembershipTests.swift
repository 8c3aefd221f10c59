import Cluster
import Mail
import Membership
import Testing

@Suite("Membership")
struct MembershipTests {
    private static func configuration(_ cluster: String, nodes: [String: Int]) throws -> ClusterConfiguration {
        let lines = nodes.sorted { $0.key < $1.key }.enumerated().map { index, node in
            "  - {name: \(node.key), weight: \(node.value), "
                + "lmtp: \"127.0.0.1:\(1000 + index)\", pop3: \"127.0.0.1:\(2000 + index)\"}"
        }
        return try ClusterConfiguration.parse(
            "cluster:\n\(cluster)\nnodes:\n" + lines.joined(separator: "\n"), file: "test.yaml")
    }

    @Test("While an epoch is not settled, mailboxes are also looked for at the owners before")
    func holders() throws {
        let epochs = "  epochs: [a b, +c, -a]\n  partitions: 64\n"
        let open = ClusterMap(try Self.configuration(epochs + "  settled: 1", nodes: ["b": 1, "c": 1]))
        #expect(open.epoch == 3 && open.settledEpoch == 1 && !open.isSettled)
        let half = ClusterMap(try Self.configuration(epochs + "  settled: 2", nodes: ["b": 1, "c": 1]))
        let settled = ClusterMap(try Self.configuration(epochs + "  settled: 3", nodes: ["b": 1, "c": 1]))
        #expect(settled.isSettled)
        let founders = Ring(members: ["a", "b"].map { RingMember(name: $0) }, partitions: 64, replicas: 1)
        for partition in 0..<64 {
            let owner = Array(open.ring.owners(ofPartition: partition))
            #expect(settled.transition.holders(ofPartition: partition) == [owner])
            #expect(open.transition.holders(ofPartition: partition).first == owner)
            let first = founders.members[Int(founders.owners(ofPartition: partition).first ?? 0)].name
            let names = open.transition.holders(ofPartition: partition).map { $0.map { open[$0].name } }
            // A node that is no member any more cannot be asked.
            #expect(names.contains([first]) == (first == "b"))
            #expect(
                half.transition.holders(ofPartition: partition).count
                    <= open.transition.holders(ofPartition: partition).count)
        }
        #expect((0..<64).contains { open.transition.holders(ofPartition: $0).count == 2 })
    }

    @Test("Without a word on it nothing is settled; what the ring has no epoch for is refused")
    func settledEpoch() throws {
        let nothingSaid = try Self.configuration("  epochs: [a, +b]", nodes: ["a": 1, "b": 1])
        #expect(ClusterMap(nothingSaid).settledEpoch == 1)
        #expect(throws: ConfigurationError.self) {
            try Self.configuration("  epochs: [a, +b]\n  settled: 3", nodes: ["a": 1, "b": 1])
        }
        #expect(throws: ConfigurationError.self) {
            try Self.configuration("  replicas: 2", nodes: ["a": 1, "b": 0])
        }
    }

    @Test(
        "SIGHUP takes nodes that come and go, their weights, and epochs; other addresses of a node wait for a restart")
    func reload() throws {
        let before = try Self.configuration("  epochs: [a b]", nodes: ["a": 1, "b": 1])
        let after = try Self.configuration("  epochs: [a b, +c, -a b=3]\n  settled: 2", nodes: ["b": 3, "c": 1])
        let taken = before.reloading(after)
        #expect(taken.nodes.map(\.name) == ["b", "c"])
        #expect(taken.nodes[0].weight == 3)
        #expect(taken.cluster.epochs == after.cluster.epochs && taken.cluster.settled == 2)
        #expect(taken.nodes[0].lmtp == before.nodes[1].lmtp, "b's addresses differ in the two files")
        let difference = ReloadDifference(from: before, to: after)
        #expect(difference.live.contains("nodes[b].weight: 1 is now 3"))
        #expect(difference.live.contains { $0.hasPrefix("nodes[c].lmtp") })
        #expect(difference.restart.map { $0.prefix { $0 != ":" } } == ["nodes[b].lmtp", "nodes[b].pop3"])
    }

    // MARK: the file

    private static let file = """
        # A cluster.
        cluster:
          name: small      # for ever
          partitions: 64
        nodes:
          # the first
          - name: a
            lmtp: 127.0.0.1:1001
            pop3: 127.0.0.1:2001
          - {name: b, weight: 2, lmtp: "127.0.0.1:1002", pop3: "127.0.0.1:2002"}

        # Everything else.
        hostname: mail.example.test

        """

    private static func changed(
        _ text: String, _ change: (inout [NodeSettings]) -> Void
    ) throws -> (text: String, configuration: ClusterConfiguration) {
        let old = try ClusterConfiguration.parse(text, file: "test.yaml")
        var nodes = old.nodes
        change(&nodes)
        let members = nodes.map { RingMember(name: $0.name, weight: $0.weight, zone: $0.zone) }
        let founders = RingHistory(founders: old.ringMembers)
        var epochs = old.cluster.epochs.isEmpty ? founders.lines : old.cluster.epochs
        if let line = founders.lineToReach(members) { epochs.append(line) }
        var file = ConfigurationText(text)
        try file.change(from: old.nodes, to: nodes, epochs: epochs)
        return (file.text, try ClusterConfiguration.parse(file.text, file: "test.yaml"))
    }

    @Test("Nodes come, change and go in the file, and everything else stays as it was written")
    func text() throws {
        let grown = try Self.changed(Self.file) { nodes in
            var node = NodeSettings()
            (node.name, node.zone) = ("c", "east")
            (node.lmtp, node.pop3) = (.tcp(host: "127.0.0.1", port: 1003), .tcp(host: "127.0.0.1", port: 2003))
            nodes.append(node)
        }
        #expect(grown.configuration.nodes.map(\.name) == ["a", "b", "c"])
        #expect(grown.configuration.cluster.epochs == ["a b=2", "+c@east"])
        let weighed = try Self.changed(grown.text) {
            $0[1].weight = 5; $0[0].weight = 0
        }
        #expect(weighed.configuration.nodes.map(\.weight) == [0, 5, 1])
        let shrunk = try Self.changed(weighed.text) { $0.removeFirst() }
        #expect(shrunk.configuration.nodes.map(\.name) == ["b", "c"])
        #expect(shrunk.configuration.cluster.epochs == ["a b=2", "+c@east", "a=0 b=5", "-a"])
        var settled = ConfigurationText(shrunk.text)
        try settled.setSettled(3)
        try settled.setSettled(4)
        #expect(try ClusterConfiguration.parse(settled.text, file: "test.yaml").cluster.settled == 4)
        for comment in ["# A cluster.\n", "  name: small      # for ever\n", "\n\n# Everything else.\nhostname: mail"] {
            #expect(settled.text.contains(comment), "\(settled.text)")
        }
    }

    @Test("A file whose lines end with CR LF is changed as well, and its new lines end so too")
    func carriageReturns() throws {
        let changed = try Self.changed(Self.file.replacing("\n", with: "\r\n")) { nodes in
            nodes[1].weight = 5
            var node = NodeSettings()
            node.name = "c"
            (node.lmtp, node.pop3) = (.tcp(host: "127.0.0.1", port: 1003), .tcp(host: "127.0.0.1", port: 2003))
            nodes.append(node)
        }
        #expect(changed.configuration.nodes.map(\.name) == ["a", "b", "c"])
        #expect(changed.configuration.nodes[1].weight == 5)
        #expect(changed.text.utf8.count { $0 == 0x0A } == changed.text.utf8.count { $0 == 0x0D })
    }

    @Test("A file that is written in another way is not guessed at")
    func otherText() throws {
        let flow = "nodes: [{name: a, lmtp: \"127.0.0.1:1\", pop3: \"127.0.0.1:2\"}]\n"
        #expect(throws: ConfigurationTextError.self) {
            try Self.changed(flow) { nodes in
                nodes.append(nodes[0])
                nodes[1].name = "b"
            }
        }
        #expect(throws: ConfigurationTextError.self) { try Self.changed(flow) { $0[0].weight = 2 } }
        // Where the nodes have lines, but the ring's history would come between brackets.
        let history = RingHistory(founders: [RingMember(name: "a", weight: 1, zone: nil)]).lines
        for cluster in ["{name: small}", "\n  name: small\n  epochs: \(history)"] {
            let text =
                "cluster: \(cluster)\nnodes:\n  - {name: a, weight: 1, lmtp: \"127.0.0.1:1\", pop3: \"127.0.0.1:2\"}\n"
            #expect {
                try Self.changed(text) { $0[0].weight = 2 }
            } throws: {
                "\($0)".contains("line for each")
            }
        }
    }
}
