/// What a change of the membership moves: nothing is done yet.
package struct RingPlan: Sendable, Equatable {
    /// One copy of a partition that has to be carried to a new owner.
    package struct Move: Sendable, Equatable {
        package let partition: Int
        /// Where its mail is now, the preferred one first.
        package let from: [String]
        /// Who must get it.
        package let to: String
    }

    /// One node before and after.
    package struct NodeChange: Sendable, Equatable {
        package let name: String
        package let before: Int
        package let after: Int
        /// Copies that it must be brought.
        package let gains: Int
        /// Copies that it may drop when all has settled.
        package let losses: Int
    }

    package let epochBefore: UInt64
    package let epochAfter: UInt64
    /// P × R after the change.
    package let copies: Int
    package let moves: [Move]
    /// Copies that no table could have spared: what the nodes that grow have to be given.
    package let unavoidable: Int
    /// Sorted by name: all that are members before or after.
    package let nodes: [NodeChange]

    /// Both rings must have the same number of partitions.
    package init(from old: Ring, to new: Ring) {
        precondition(old.partitions == new.partitions, "\(old.partitions) partitions cannot become \(new.partitions)")
        var gains = [Int](repeating: 0, count: new.members.count)
        var losses: [String: Int] = [:]
        var moves: [Move] = []
        for partition in 0..<new.partitions {
            let before = old.owners(ofPartition: partition).map { old.member($0).name }
            let after = new.owners(ofPartition: partition).map { new.member($0).name }
            for (owner, name) in zip(new.owners(ofPartition: partition), after) where !before.contains(name) {
                gains[Int(owner)] += 1
                moves.append(Move(partition: partition, from: before, to: name))
            }
            for name in before where !after.contains(name) { losses[name, default: 0] += 1 }
        }
        let oldLoads = Dictionary(uniqueKeysWithValues: zip(old.members.map(\.name), old.loads()))
        let newLoads = Dictionary(uniqueKeysWithValues: zip(new.members.map(\.name), new.loads()))
        nodes = Set(oldLoads.keys).union(newLoads.keys).sorted().map { name in
            NodeChange(
                name: name, before: oldLoads[name] ?? 0, after: newLoads[name] ?? 0,
                gains: new.index(of: name).map { gains[Int($0)] } ?? 0, losses: losses[name] ?? 0)
        }
        unavoidable = nodes.reduce(0) { $0 + max(0, $1.after - $1.before) }
        epochBefore = old.epoch
        epochAfter = new.epoch
        copies = new.partitions * new.replicas
        self.moves = moves
    }

    /// The part of all copies that moves: 0 to 1.
    package var movedShare: Double { Double(moves.count) / Double(copies) }

    package var unavoidableShare: Double { Double(unavoidable) / Double(copies) }
}
