package import Mail

/// One storage node as the ring sees it.
package struct RingMember: Hashable, Sendable {
    package let name: String
    /// How much it takes compared with the others; 0 for a node that is to be emptied and owns nothing any more.
    package let weight: Int
    /// What fails together with it (a rack, a room). A node without a zone is a zone of its own.
    package let zone: String?

    package init(name: String, weight: Int = 1, zone: String? = nil) {
        self.name = name
        self.weight = weight
        self.zone = zone
    }
}

/// Which nodes own which partition in one epoch: R distinct owners for each of P partitions.
///
/// Loads are exact: every node has its fair share (by weight, as far as zones allow it) rounded down or up. A change of
/// the membership moves no more than the new shares demand. No function of the membership alone can do both with 4,096
/// partitions and up to 1,000 nodes: hashing leaves loads of 1.4 times the mean, and repairing that moves many times
/// the unavoidable share. So the first epoch is a function of its members, and each later one of its members and the
/// table before it. Whoever replays the same memberships gets the same table: the algorithm is part of the format.
package struct Ring: Sendable, Equatable {
    /// A node's place in `members`.
    package typealias NodeIndex = UInt16

    package static let membersMax = 10_000
    package static let partitionsMax = 1 << 20
    package static let replicasMax = 16
    package static let weightMax = 10_000

    /// Whether these members make a ring: R of them own something.
    package static func isPossible(_ members: [RingMember], replicas: Int) -> Bool {
        members.count(where: { $0.weight > 0 }) >= replicas
    }

    package let epoch: UInt64
    /// Sorted by name.
    package let members: [RingMember]
    package let partitions: Int
    /// R: owners per partition.
    package let replicas: Int
    /// R owners of partition 0, R owners of partition 1, and so on.
    let table: [NodeIndex]

    /// The first epoch of a cluster: depends on the set of members only, not on their order.
    ///
    /// Names must differ, and it must be possible (`isPossible`): the configuration sees to both.
    package init(members: [RingMember], partitions: Int, replicas: Int, epoch: UInt64 = 1) {
        var builder = RingBuilder(members: members, partitions: partitions, replicas: replicas)
        builder.found()
        self.init(builder, epoch: epoch)
    }

    /// The next epoch: these members instead, and as little moved as their shares and zones allow.
    package func changed(to members: [RingMember], replicas: Int? = nil) -> Ring {
        var builder = RingBuilder(members: members, partitions: partitions, replicas: replicas ?? self.replicas)
        builder.adopt(self)
        return Ring(builder, epoch: epoch + 1)
    }

    /// The next epoch, with one member more, or with the member of that name replaced.
    package func adding(_ member: RingMember) -> Ring {
        changed(to: members.filter { $0.name != member.name } + [member])
    }

    /// The next epoch, without that member.
    package func removing(_ name: String) -> Ring {
        changed(to: members.filter { $0.name != name })
    }

    private init(_ builder: RingBuilder, epoch: UInt64) {
        self.epoch = epoch
        members = builder.members
        partitions = builder.partitions
        replicas = builder.replicas
        table = builder.table
    }

    /// The partition of a mailbox, for ever: XXH64 of `local@domain`, modulo P.
    package func partition(of mailbox: MailboxName) -> Int {
        Int(truncatingIfNeeded: Self.hash(of: mailbox) % UInt64(truncatingIfNeeded: partitions))
    }

    /// The owners of a partition, the preferred one first. Shares the ring's storage: nothing is allocated.
    package func owners(ofPartition partition: Int) -> ArraySlice<NodeIndex> {
        table[partition * replicas..<(partition + 1) * replicas]
    }

    /// The owners of a mailbox, the preferred one first.
    package func owners(of mailbox: MailboxName) -> ArraySlice<NodeIndex> {
        owners(ofPartition: partition(of: mailbox))
    }

    package func member(_ index: NodeIndex) -> RingMember { members[Int(index)] }

    /// The place of the node with that name, if it is a member.
    package func index(of name: String) -> NodeIndex? {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].name < name { low = middle + 1 } else { high = middle }
        }
        return low < members.count && members[low].name == name ? NodeIndex(low) : nil
    }

    /// Tells rings apart, also two of the same epoch that were made from different files: XXH64 of the epoch, the members and
    /// the table.
    package var fingerprint: UInt64 {
        let names = members.map { "\($0.name)=\($0.weight)@\($0.zone ?? "")" }.joined(separator: " ")
        return StableHash.xxh64("\(epoch) \(names)") ^ table.withUnsafeBytes { StableHash.xxh64($0) }
    }

    /// How many copies of partitions each member holds, in the order of `members`.
    package func loads() -> [Int] {
        var loads = [Int](repeating: 0, count: members.count)
        for node in table { loads[Int(node)] += 1 }
        return loads
    }

    /// How many partitions each member is the preferred owner of, in the order of `members`.
    package func firstOwnerLoads() -> [Int] {
        var loads = [Int](repeating: 0, count: members.count)
        for partition in 0..<partitions { loads[Int(table[partition * replicas])] += 1 }
        return loads
    }

    /// XXH64 of `local@domain`.
    package static func hash(of mailbox: MailboxName) -> UInt64 {
        var local = mailbox.local
        var domain = mailbox.domain
        return local.withUTF8 { local in
            domain.withUTF8 { domain in
                let count = local.count &+ domain.count &+ 1
                return withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { buffer in
                    buffer.copyMemory(from: UnsafeRawBufferPointer(local))
                    buffer[local.count] = UInt8(ascii: "@")
                    UnsafeMutableRawBufferPointer(rebasing: buffer[(local.count &+ 1)...])
                        .copyMemory(from: UnsafeRawBufferPointer(domain))
                    return StableHash.xxh64(UnsafeRawBufferPointer(buffer))
                }
            }
        }
    }
}
