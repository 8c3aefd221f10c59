/// Makes the table of one epoch: fills what is empty, then levels what is uneven.
///
/// A copy is one place of the table: partition × R + position. A copy that stays where it was costs nothing; every
/// other copy is mail that has to be carried from node to node.
struct RingBuilder {
    static let hole = Ring.NodeIndex.max

    let members: [RingMember]
    let partitions: Int
    let replicas: Int
    let shares: RingShares
    /// One hash per member, from its name: what makes choices look random and be the same everywhere.
    let seeds: [UInt64]
    private(set) var table: [Ring.NodeIndex]
    private(set) var loads: [Int]
    private(set) var targets: [Int] = []
    /// Which copies are not where the epoch before had them; moving these again costs nothing.
    private(set) var isMoved: [Bool]

    init(members: [RingMember], partitions: Int, replicas: Int) {
        precondition((1...Ring.membersMax).contains(members.count), "ring of \(members.count) members")
        precondition((1...Ring.partitionsMax).contains(partitions), "ring of \(partitions) partitions")
        precondition((1...min(members.count, Ring.replicasMax)).contains(replicas), "ring with \(replicas) replicas")
        let sorted = members.sorted { $0.name < $1.name }
        for (left, right) in zip(sorted, sorted.dropFirst()) {
            precondition(left.name != right.name, "two members are called \(left.name)")
        }
        for member in sorted {
            precondition((1...Ring.weightMax).contains(member.weight), "\(member.name) has weight \(member.weight)")
        }
        self.members = sorted
        self.partitions = partitions
        self.replicas = replicas
        shares = RingShares(members: sorted, partitions: partitions, replicas: replicas)
        seeds = sorted.map { StableHash.xxh64($0.name) }
        table = [Ring.NodeIndex](repeating: Self.hole, count: partitions * replicas)
        isMoved = [Bool](repeating: true, count: partitions * replicas)
        loads = [Int](repeating: 0, count: sorted.count)
    }

    /// The first epoch: everything is empty.
    mutating func found() {
        targets = shares.targets(loads: loads, order: seeds)
        fillHoles()
        level()
        balanceFirstOwners()
    }

    /// A later epoch: what its members held they keep, as far as zones allow it.
    mutating func adopt(_ previous: Ring) {
        let places = Dictionary(uniqueKeysWithValues: members.indices.map { (members[$0].name, Ring.NodeIndex($0)) })
        let indexes = previous.members.map { places[$0.name] ?? Self.hole }
        let kept = min(replicas, previous.replicas)
        for partition in 0..<partitions {
            for position in 0..<kept {
                let node = indexes[Int(previous.table[partition * previous.replicas + position])]
                let copy = partition * replicas + position
                guard node != Self.hole, fits(Int(node), copy) else { continue }
                table[copy] = node
                isMoved[copy] = false
                loads[Int(node)] += 1
            }
        }
        targets = shares.targets(loads: loads, order: seeds)
        fillHoles()
        level()
    }

    /// Whether the node may take that copy: it holds no other copy of the partition, nor is its zone full.
    func fits(_ node: Int, _ copy: Int) -> Bool {
        let first = copy / replicas * replicas
        let zone = shares.zoneOf[node]
        var inZone = 0
        for other in first..<first + replicas where other != copy {
            let owner = table[other]
            if owner == Self.hole { continue }
            if owner == node { return false }
            if shares.zoneOf[Int(owner)] == zone { inZone += 1 }
        }
        return inZone < shares.copiesPerZoneMax
    }

    mutating func move(_ copy: Int, to node: Int) {
        if table[copy] != Self.hole { loads[Int(table[copy])] -= 1 }
        table[copy] = Ring.NodeIndex(node)
        loads[node] += 1
        isMoved[copy] = true
    }

    /// Gives each empty copy to the node that is furthest behind its target, in proportion to what it is to be given;
    /// between equals, to the one with the greatest affinity, so that any two nodes share some partitions.
    private mutating func fillHoles() {
        let gaps = members.indices.map { max(0, targets[$0] - loads[$0]) }
        var takers = members.indices.filter { gaps[$0] > 0 }
        for copy in table.indices where table[copy] == Self.hole {
            if let node = mostBehind(takers, gaps, copy) {
                move(copy, to: node)
                if loads[node] == targets[node] { takers.removeAll { $0 == node } }
            } else if let node = members.indices.filter({ fits($0, copy) })
                .min(by: { loads[$0] - targets[$0] < loads[$1] - targets[$1] })
            {
                move(copy, to: node)
            }
        }
    }

    private func mostBehind(_ takers: [Int], _ gaps: [Int], _ copy: Int) -> Int? {
        var best: (node: Int, lack: Int, gap: Int, affinity: UInt64)?
        for node in takers {
            let lack = targets[node] - loads[node]
            let gap = gaps[node]
            if let best, lack * best.gap < best.lack * gap { continue }
            guard fits(node, copy) else { continue }
            let affinity = StableHash.affinity(node: seeds[node], partition: copy / replicas)
            if let best, lack * best.gap == best.lack * gap, affinity < best.affinity { continue }
            best = (node, lack, gap, affinity)
        }
        return best?.node
    }

    /// The preferred owner opens mailboxes and answers first, so that too is shared out evenly at the start.
    private mutating func balanceFirstOwners() {
        var firsts = [Int](repeating: 0, count: members.count)
        for first in stride(from: 0, to: table.count, by: replicas) {
            var best = first
            for copy in first + 1..<first + replicas {
                let (node, rival) = (Int(table[copy]), Int(table[best]))
                if firsts[node] * targets[rival] < firsts[rival] * targets[node] { best = copy }
            }
            table.swapAt(first, best)
            firsts[Int(table[first])] += 1
        }
    }
}
