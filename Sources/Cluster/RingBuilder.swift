/// Makes the table of one epoch: fills what is empty, then levels what is uneven.
///
/// A copy is one place of the table: partition × R + position. A copy on a node that owned the partition in the epoch
/// before costs nothing; every other copy is mail that has to be carried from node to node.
struct RingBuilder {
    static let hole = Ring.NodeIndex.max

    let members: [RingMember]
    let partitions: Int
    let replicas: Int
    let shares: RingShares
    /// One hash per member, from its name: what makes choices look random and be the same everywhere.
    let seeds: [UInt64]
    var table: [Ring.NodeIndex]
    var loads: [Int]
    private(set) var targets: [Int] = []
    /// The owners of each partition in the epoch before, by their places in `members`; `hole` for a node that left.
    private(set) var former: [Ring.NodeIndex] = []
    private(set) var formerReplicas = 0

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
        let moved = previous.members.map { places[$0.name] ?? Self.hole }
        former = previous.table.map { moved[Int($0)] }
        formerReplicas = previous.replicas
        for partition in 0..<partitions {
            for position in 0..<min(replicas, formerReplicas) {
                let node = former[partition * formerReplicas + position]
                let copy = partition * replicas + position
                if node != Self.hole, fits(Int(node), copy) { move(copy, to: Int(node)) }
            }
        }
        targets = shares.targets(loads: loads, order: seeds)
        fillHoles()
        level()
        bringBack()
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
    }

    /// Whether the node has the mail of that copy's partition already.
    func ownedBefore(_ node: Int, _ copy: Int) -> Bool {
        let first = copy / replicas * formerReplicas
        for place in first..<first + formerReplicas where former[place] == node { return true }
        return false
    }

    /// Gives each empty copy to the node that is furthest behind its target, in proportion to what it is to be given;
    /// between equals, to the one with the greatest affinity, so that any two nodes share some partitions.
    private mutating func fillHoles() {
        let gaps = members.indices.map { max(0, targets[$0] - loads[$0]) }
        var takers = members.indices.filter { gaps[$0] > 0 }
        let everywhere = zonesNeededEverywhere()
        for partition in 0..<partitions {
            let copies = partition * replicas..<(partition + 1) * replicas
            for zone in everywhere {
                while let copy = copyToGive(to: zone, copies) { fill(copy, &takers, gaps, zone) }
            }
            for copy in copies where table[copy] == Self.hole { fill(copy, &takers, gaps, nil) }
        }
    }

    private mutating func fill(_ copy: Int, _ takers: inout [Int], _ gaps: [Int], _ zone: Int?) {
        if let node = mostBehind(takers, gaps, copy, zone) {
            move(copy, to: node)
            if loads[node] == targets[node] { takers.removeAll { $0 == node } }
        } else if let node = members.indices
            .filter({ (zone == nil || shares.zoneOf[$0] == zone) && fits($0, copy) })
            .min(by: { loads[$0] - targets[$0] < loads[$1] - targets[$1] })
        {
            move(copy, to: node)
        }
    }

    /// Zones whose share is so great that they need as many copies of every partition as they may have.
    private func zonesNeededEverywhere() -> [Int] {
        var sums = [Int](repeating: 0, count: shares.zoneCount)
        for (node, target) in targets.enumerated() { sums[shares.zoneOf[node]] += target }
        return sums.indices.filter { sums[$0] == shares.copiesInZoneMax[$0] * partitions }
    }

    /// The copy that a zone which is needed everywhere has to get in this partition: an empty one, or the one of the node
    /// that can spare it best. Nil when the zone has all it needs.
    private func copyToGive(to zone: Int, _ copies: Range<Int>) -> Int? {
        var needed = shares.copiesInZoneMax[zone]
        var best: (copy: Int, surplus: Int)?
        for copy in copies {
            guard table[copy] != Self.hole else {
                best = (copy, .max)
                continue
            }
            let node = Int(table[copy])
            if shares.zoneOf[node] == zone {
                needed -= 1
            } else if best.map({ $0.surplus < loads[node] - targets[node] }) ?? true {
                best = (copy, loads[node] - targets[node])
            }
        }
        return needed > 0 ? best?.copy : nil
    }

    private func mostBehind(_ takers: [Int], _ gaps: [Int], _ copy: Int, _ zone: Int?) -> Int? {
        var best: (node: Int, lack: Int, affinity: UInt64)?
        for node in takers where zone == nil || shares.zoneOf[node] == zone {
            // In coarse steps: exact comparison would repeat a pattern, and some nodes would never meet.
            let lack = ((targets[node] - loads[node]) * Self.paceSteps + gaps[node] - 1) / gaps[node]
            if let best, lack < best.lack { continue }
            guard fits(node, copy) else { continue }
            let affinity = StableHash.affinity(node: seeds[node], partition: copy / replicas)
            if let best, lack == best.lack, affinity < best.affinity { continue }
            best = (node, lack, affinity)
        }
        return best?.node
    }

    private static let paceSteps = 32

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
