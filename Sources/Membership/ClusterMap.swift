package import Cluster
package import Mail

/// One epoch of the cluster as its processes use it: the ring, where its nodes are, and where mail may still lie from
/// before.
package struct ClusterMap: Sendable, Equatable {
    package let transition: Transition
    /// In the order of `ring.members`.
    package let nodes: [NodeSettings]

    package init(_ configuration: ClusterConfiguration) {
        transition = Transition(configuration.rings())
        let byName = Dictionary(configuration.nodes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        nodes = transition.ring.members.compactMap { byName[$0.name] }
    }

    package var ring: Ring { transition.ring }
    package var epoch: UInt64 { ring.epoch }
    package var settledEpoch: UInt64 { transition.settledEpoch }

    /// Whether all mail lies with its owners.
    package var isSettled: Bool { settledEpoch == epoch }

    package subscript(index: Ring.NodeIndex) -> NodeSettings { nodes[Int(index)] }

    package func node(named name: String) -> NodeSettings? { ring.index(of: name).map { self[$0] } }

    /// The place of the node that has this one's name and addresses.
    package func index(of node: NodeSettings) -> Ring.NodeIndex? {
        ring.index(of: node.name).flatMap { index in
            self[index].lmtp == node.lmtp && self[index].pop3 == node.pop3 ? index : nil
        }
    }

    /// The owners of a mailbox, the preferred one first.
    package func owners(of mailbox: MailboxName) -> ArraySlice<Ring.NodeIndex> { ring.owners(of: mailbox) }
}

extension ClusterConfiguration {
    package var ringMembers: [RingMember] {
        nodes.map { RingMember(name: $0.name, weight: $0.weight, zone: $0.zone) }
    }

    /// The ring of the latest epoch. The configuration must have been loaded, which checks that it gives one.
    package func ring() -> Ring {
        var rings = rings()
        return rings.removeLast()
    }

    /// The rings of the epochs from the settled one to the latest. Never empty.
    func rings() -> [Ring] {
        guard !cluster.epochs.isEmpty, let history = try? RingHistory(lines: cluster.epochs) else {
            return [Ring(members: ringMembers, partitions: cluster.partitions, replicas: cluster.replicas)]
        }
        return history.rings(
            partitions: cluster.partitions, replicas: cluster.replicas, from: max(1, cluster.settled))
    }

    /// This configuration with the nodes and the ring's history of another one.
    package func withMembership(of other: ClusterConfiguration) -> ClusterConfiguration {
        var configuration = self
        configuration.cluster.epochs = other.cluster.epochs
        configuration.cluster.settled = other.cluster.settled
        configuration.nodes = other.nodes
        return configuration
    }
}
