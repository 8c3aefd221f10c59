/// Makes the table of one epoch: fills what is empty, then levels what is uneven.
///
/// A copy is one place of the table: partition × R + position. A copy on a node that owned the partition in the epoch
/// before costs nothing; every other copy is mail that has to be carried from node to node.
struct RingBuilder {
    static let hole = Ring.NodeIndex.max
    private static let paceSteps = 32

    let members: [RingMember]
    let partitions: Int
    let replicas: Int
    let shares: RingShares
    /// One hash per member, from its name: what makes choices look random and be the same everywhere.
    let seeds: [UInt64]
    var table: [Ring.NodeIndex]
    var loads: [Int]
    private(set) var targets: [Int] = []
    /// The owners of each partition in the epoch before, by their places in `members`; `hole` for a node that owns nothing
    /// any more.
    private(set) var former: [Ring.NodeIndex] = []
    private(set) var formerReplicas = 0

    init(members: [RingMember], partitions: Int, replicas: Int) {
        precondition((1...Ring.membersMax).contains(members.count), "ring of \(members.count) members")
        precondition((1...Ring.partitionsMax).contains(partitions), "ring of \(partitions) partitions")
        precondition((1...Ring.replicasMax).contains(replicas), "ring with \(replicas) replicas")
        precondition(
            Ring.isPossible(members, replicas: replicas), "ring of \(members.count) members with \(replicas) replicas")
        let sorted = members.sorted { $0.name < $1.name }
        for (left, right) in zip(sorted, sorted.dropFirst()) {
            precondition(left.name != right.name, "two members are called \(left.name)")
        }
        for member in sorted {
            precondition((0...Ring.weightMax).contains(member.weight), "\(member.name) has weight \(member.weight)")
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
        let moved = previous.members.map { member in
            places[member.name].flatMap { members[Int($0)].weight > 0 ? $0 : nil } ?? Self.hole
        }
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

    /// Whether the node may take that copy: it owns partitions at all, holds no other copy of this one, nor is its zone full.
    func fits(_ node: Int, _ copy: Int) -> Bool {
        guard members[node].weight > 0 else { return false }
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
        var takers = Takers(
            nodes: members.indices.filter { gaps[$0] > 0 }, gaps: gaps, paces: gaps.map { $0 > 0 ? Self.paceSteps : 0 })
        let everywhere = zonesNeededEverywhere()
        for partition in 0..<partitions {
            let copies = partition * replicas..<(partition + 1) * replicas
            for zone in everywhere {
                while let copy = copyToGive(to: zone, copies) { fill(copy, &takers, zone) }
            }
            for copy in copies where table[copy] == Self.hole { fill(copy, &takers, nil) }
        }
    }

    private mutating func fill(_ copy: Int, _ takers: inout Takers, _ zone: Int?) {
        let giver = table[copy]
        guard let node = mostBehind(takers, copy, zone) ?? leastOverfull(copy, zone) else { return }
        move(copy, to: node)
        takers.update(node, lack: targets[node] - loads[node])
        if giver != Self.hole { takers.update(Int(giver), lack: targets[Int(giver)] - loads[Int(giver)]) }
    }

    /// When no node that lacks copies may take this one: the levelling afterwards finds it a better place.
    private func leastOverfull(_ copy: Int, _ zone: Int?) -> Int? {
        members.indices.filter { (zone == nil || shares.zoneOf[$0] == zone) && fits($0, copy) }
            .min { loads[$0] - targets[$0] < loads[$1] - targets[$1] }
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

    private func mostBehind(_ takers: Takers, _ copy: Int, _ zone: Int?) -> Int? {
        var best: (node: Int, pace: Int, affinity: UInt64)?
        for node in takers.nodes {
            let pace = takers.paces[node]
            if let best, pace < best.pace { continue }
            if let zone, shares.zoneOf[node] != zone { continue }
            let affinity = StableHash.affinity(node: seeds[node], partition: copy / replicas)
            if let best, pace == best.pace, affinity < best.affinity { continue }
            if fits(node, copy) { best = (node, pace, affinity) }
        }
        return best?.node
    }

    /// The nodes that still lack copies, and how much of what each is to be given is still missing.
    ///
    /// In coarse steps: exact comparison would repeat a pattern, and some nodes would never meet.
    private struct Takers {
        var nodes: [Int]
        let gaps: [Int]
        var paces: [Int]

        mutating func update(_ node: Int, lack: Int) {
            guard gaps[node] > 0 else { return }
            paces[node] = (lack * RingBuilder.paceSteps + gaps[node] - 1) / gaps[node]
            if lack <= 0 { nodes.removeAll { $0 == node } }
        }
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
