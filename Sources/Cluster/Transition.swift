/// The ring, and where mail may still lie from before a change of the members.
package struct Transition: Sendable, Equatable {
    /// Of the last epoch: who is delivered to.
    package let ring: Ring
    /// The last epoch whose mail all lies with its owners.
    package let settledEpoch: UInt64
    /// For each epoch from the settled one to the last but one, and each partition, R places in `ring.members`; `absent` for
    /// a node that is no member any more.
    private let formerTables: [[Ring.NodeIndex]]

    private static let absent = Ring.NodeIndex.max

    /// - Parameter rings: those of the settled epoch and of all later ones, the last one last; at least one.
    package init(_ rings: [Ring]) {
        guard let ring = rings.last, let first = rings.first else { preconditionFailure("no epoch") }
        self.ring = ring
        settledEpoch = first.epoch
        formerTables = rings.dropLast().map { former in
            let places = former.members.map { ring.index(of: $0.name) ?? Self.absent }
            return (0..<former.partitions).flatMap { partition in
                former.owners(ofPartition: partition).map { places[Int($0)] }
            }
        }
    }

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
