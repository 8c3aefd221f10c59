package import Cluster
package import Mail

/// One epoch of the cluster as frontends use it: the ring, and where its nodes are.
package struct ClusterMap: Sendable {
    package let ring: Ring
    /// In the order of `ring.members`.
    package let nodes: [NodeSettings]

    package init(_ configuration: ClusterConfiguration) {
        ring = configuration.ring()
        let byName = Dictionary(configuration.nodes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        nodes = ring.members.compactMap { byName[$0.name] }
    }

    package var epoch: UInt64 { ring.epoch }

    package subscript(index: Ring.NodeIndex) -> NodeSettings { nodes[Int(index)] }

    package func node(named name: String) -> NodeSettings? { ring.index(of: name).map { self[$0] } }

    /// The owners of a mailbox, the preferred one first.
    package func owners(of mailbox: MailboxName) -> ArraySlice<Ring.NodeIndex> { ring.owners(of: mailbox) }
}

extension ClusterConfiguration {
    package var ringMembers: [RingMember] {
        nodes.map { RingMember(name: $0.name, weight: $0.weight, zone: $0.zone) }
    }

    /// The ring of the latest epoch. The configuration must have been loaded, which checks that it gives one.
    package func ring() -> Ring {
        guard !cluster.epochs.isEmpty, let history = try? RingHistory(lines: cluster.epochs) else {
            return Ring(members: ringMembers, partitions: cluster.partitions, replicas: cluster.replicas)
        }
        return history.ring(partitions: cluster.partitions, replicas: cluster.replicas)
    }
}
