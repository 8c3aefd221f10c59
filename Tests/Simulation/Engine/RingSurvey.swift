import Cluster

/// What a ring of many nodes costs: how even it is, and how much a change of its members moves.
package struct RingSurvey: Sendable {
    package let nodes: Int
    package let partitions: Int
    package let replicas: Int
    /// The greatest load over the mean load.
    package let balance: Double
    /// Copies of partitions that moved when a node came, over those that had to.
    package let added: Double
    /// The same when a node went.
    package let removed: Double

    package init(nodes: Int, partitions: Int, replicas: Int) {
        let members = (0..<nodes).map { RingMember(name: "node\(10_000 + $0)", zone: "zone\($0 % 5)") }
        let ring = Ring(members: members, partitions: partitions, replicas: replicas)
        (self.nodes, self.partitions, self.replicas) = (nodes, partitions, replicas)
        let copies = Double(partitions * replicas)
        balance = Double(ring.loads().max() ?? 0) * Double(nodes) / copies
        let larger = ring.adding(RingMember(name: "node99999", zone: "zone0"))
        added = Double(Self.moved(ring, larger)) / (copies / Double(nodes + 1)).rounded(.down)
        let gone = ring.members[nodes / 2].name
        let lost = ring.loads()[nodes / 2]
        removed = Double(Self.moved(ring, ring.removing(gone))) / Double(lost)
    }

    /// How many copies have an owner who did not have them before.
    private static func moved(_ before: Ring, _ after: Ring) -> Int {
        var count = 0
        for partition in 0..<before.partitions {
            let old = Set(before.owners(ofPartition: partition).map { before.member($0).name })
            count += after.owners(ofPartition: partition).count { !old.contains(after.member($0).name) }
        }
        return count
    }

    package var text: String {
        "\(nodes) nodes, \(partitions) partitions, R=\(replicas): greatest load \(Self.text(balance)) of the mean; moved when a "
            + "node comes \(Self.text(added)), when one goes \(Self.text(removed)) of what must move"
    }

    private static func text(_ number: Double) -> String { "\((number * 1_000).rounded() / 1_000)" }
}
