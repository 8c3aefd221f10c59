/// What each member ought to hold: P × R copies by weight, as far as distinct owners and zones allow it.
///
/// A partition has at most one copy on a node and at most `copiesPerZoneMax` in a zone, so a zone or a node that is
/// heavier than that takes all it can, and the others share the rest by weight. All arithmetic is in whole numbers, so
/// every machine comes to the same result.
struct RingShares {
    /// The zone of each member, numbered from 0; a member without a zone has one of its own.
    let zoneOf: [Int]
    let zoneCount: Int
    /// The smallest number with which R copies still find enough nodes: 1 if there are R zones.
    let copiesPerZoneMax: Int
    /// The fair share of each member, rounded down.
    private(set) var floors: [Int]
    /// Whether the fair share is not a whole number.
    private(set) var isFractional: [Bool]
    /// The fair share itself, for people.
    private(set) var fair: [Double]

    /// How many copies of one partition each zone can take: `copiesPerZoneMax`, or its number of nodes.
    let copiesInZoneMax: [Int]

    private let partitions: Int
    private var zoneRoom: [Int]
    private var groups: [(members: [Int], copies: Int)] = []

    /// `members` must be sorted by name, so that zones get the same numbers everywhere.
    init(members: [RingMember], partitions: Int, replicas: Int) {
        var numbers: [String: Int] = [:]
        var zoneOf: [Int] = []
        var zoneSizes: [Int] = []
        for member in members {
            let known = member.zone.flatMap { numbers[$0] }
            let number = known ?? zoneSizes.count
            if known == nil {
                zoneSizes.append(0)
                if let zone = member.zone { numbers[zone] = number }
            }
            if member.weight > 0 { zoneSizes[number] += 1 }
            zoneOf.append(number)
        }
        var perZone = 1
        while zoneSizes.reduce(0, { $0 + min(perZone, $1) }) < replicas { perZone += 1 }

        self.zoneOf = zoneOf
        zoneCount = zoneSizes.count
        copiesPerZoneMax = perZone
        self.partitions = partitions
        copiesInZoneMax = zoneSizes.map { min(perZone, $0) }
        zoneRoom = copiesInZoneMax.map { $0 * partitions }
        floors = [Int](repeating: 0, count: members.count)
        fair = [Double](repeating: 0, count: members.count)
        isFractional = [Bool](repeating: false, count: members.count)
        share(partitions * replicas, weights: members.map(\.weight))
    }

    /// Whole numbers for everybody, each the share rounded down or up. Up for those who hold most already, so that as
    /// little as possible moves; `order` decides between equals.
    func targets(loads: [Int], order: [UInt64]) -> [Int] {
        var targets = floors
        var room = zoneRoom
        for (index, floor) in floors.enumerated() { room[zoneOf[index]] -= floor }
        for group in groups {
            var rest = group.copies - group.members.reduce(0) { $0 + floors[$1] }
            let candidates = group.members.filter { isFractional[$0] }
                .sorted { (loads[$1] - floors[$1], order[$1]) < (loads[$0] - floors[$0], order[$0]) }
            for index in candidates where rest > 0 && room[zoneOf[index]] > 0 {
                targets[index] += 1
                room[zoneOf[index]] -= 1
                rest -= 1
            }
        }
        return targets
    }

    /// Shares the copies by weight; whatever would pass its room is filled and set aside, until nothing does.
    private mutating func share(_ copies: Int, weights: [Int]) {
        var free = Array(weights.indices)
        var copies = copies
        var room = zoneRoom
        while true {
            let weight = free.reduce(0) { $0 + weights[$1] }
            var zoneWeights = [Int](repeating: 0, count: zoneCount)
            for index in free { zoneWeights[zoneOf[index]] += weights[index] }
            if let full = zoneWeights.indices.first(where: { copies * zoneWeights[$0] > room[$0] * weight }) {
                shareInside(free.filter { zoneOf[$0] == full }, room[full], weights)
                free.removeAll { zoneOf[$0] == full }
                copies -= room[full]
                room[full] = 0
            } else if let heavy = free.first(where: { copies * weights[$0] > partitions * weight }) {
                close([heavy], partitions, weights)
                free.removeAll { $0 == heavy }
                copies -= partitions
                room[zoneOf[heavy]] -= partitions
            } else {
                return close(free, copies, weights)
            }
        }
    }

    private mutating func shareInside(_ members: [Int], _ copies: Int, _ weights: [Int]) {
        var free = members
        var copies = copies
        while true {
            let weight = free.reduce(0) { $0 + weights[$1] }
            guard let heavy = free.first(where: { copies * weights[$0] > partitions * weight }) else {
                return close(free, copies, weights)
            }
            close([heavy], partitions, weights)
            free.removeAll { $0 == heavy }
            copies -= partitions
        }
    }

    private mutating func close(_ members: [Int], _ copies: Int, _ weights: [Int]) {
        let weight = members.reduce(0) { $0 + weights[$1] }
        for index in members where weights[index] > 0 {
            let (floor, rest) = (copies * weights[index]).quotientAndRemainder(dividingBy: weight)
            floors[index] = floor
            isFractional[index] = rest != 0
            fair[index] = Double(copies) * Double(weights[index]) / Double(weight)
        }
        groups.append((members, copies))
    }
}
