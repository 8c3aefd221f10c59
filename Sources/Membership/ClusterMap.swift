package import Cluster
package import Mail

/// One epoch of the cluster as its processes use it: the ring, where its nodes are, and where mail may still lie from
/// before.
///
/// A change of the membership is a transition until `cluster.settled` says that it is over: new owners take deliveries at
/// once, but what came before may still be with the owners of the epochs in between.
package struct ClusterMap: Sendable, Equatable {
    package let ring: Ring
    /// In the order of `ring.members`.
    package let nodes: [NodeSettings]
    /// The last epoch whose mail all lies with its owners.
    package let settledEpoch: UInt64
    /// For each epoch from the settled one to the last but one, and each partition, R places in `ring.members`; `absent` for
    /// a node that is no member any more.
    private let formerTables: [[Ring.NodeIndex]]

    private static let absent = Ring.NodeIndex.max

    package init(_ configuration: ClusterConfiguration) {
        var rings = configuration.rings()
        let ring = rings.removeLast()
        let byName = Dictionary(configuration.nodes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.ring = ring
        nodes = ring.members.compactMap { byName[$0.name] }
        settledEpoch = rings.first?.epoch ?? ring.epoch
        formerTables = rings.map { former in
            let places = former.members.map { ring.index(of: $0.name) ?? Self.absent }
            return (0..<former.partitions).flatMap { partition in
                former.owners(ofPartition: partition).map { places[Int($0)] }
            }
        }
    }

    package var epoch: UInt64 { ring.epoch }

    /// Whether all mail lies with its owners.
    package var isSettled: Bool { settledEpoch == epoch }

    package subscript(index: Ring.NodeIndex) -> NodeSettings { nodes[Int(index)] }

    package func node(named name: String) -> NodeSettings? { ring.index(of: name).map { self[$0] } }

    /// The owners of a mailbox, the preferred one first.
    package func owners(of mailbox: MailboxName) -> ArraySlice<Ring.NodeIndex> { ring.owners(of: mailbox) }

    /// Who may hold all mail of a partition up to some time: its owners now, and those of each epoch that is not settled, one
    /// group each. Whoever has heard of one node of every group has heard of everything.
    ///
    /// Nodes that are no members any more are left out, and groups in which nobody is left.
    package func holders(ofPartition partition: Int) -> [[Ring.NodeIndex]] {
        var groups = [Array(ring.owners(ofPartition: partition))]
        let places = partition * ring.replicas..<(partition + 1) * ring.replicas
        for table in formerTables {
            let group = table[places].filter { $0 != Self.absent }
            if !group.isEmpty, !groups.contains(where: { Set($0) == Set(group) }) { groups.append(group) }
        }
        return groups
    }
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
}
