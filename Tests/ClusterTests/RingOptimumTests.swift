import Cluster
import SeededRandom
import Testing

/// Compares changes of the ring with the least that any table could move, found by minimum-cost flow.
@Suite("Ring: the least movement")
struct RingOptimumTests {
    @Test("With zones that demand more than loads do, no table moves 5% less", arguments: 0..<4 as Range<UInt64>)
    func nearOptimum(seed: UInt64) {
        var random = SplitMix(seed: seed &+ 100)
        for _ in 0..<8 {
            let replicas = Int.random(in: 2...3, using: &random)
            let members = (0..<Int.random(in: replicas + 1...9, using: &random)).map {
                RingMember(name: "node-\($0)", weight: Int.random(in: 1...2, using: &random), zone: "zone-\($0 % 4)")
            }
            let ring = Ring(members: members, partitions: 48, replicas: replicas)
            let changes = [
                ring.adding(RingMember(name: "new", zone: "zone-\(Int.random(in: 0..<4, using: &random))")),
                ring.removing("node-\(Int.random(in: 0..<members.count, using: &random))"),
            ]
            for next in changes {
                let least = LeastMovement(from: ring, to: next).cost()
                let moved = RingPlan(from: ring, to: next).moves.count
                #expect(
                    Double(moved) <= 1.05 * Double(least) + 1, "\(members) to \(next.members): \(moved), not \(least)")
            }
        }
    }
}

/// Each partition sends R units through its zones to nodes, which take exactly their loads; a unit to a node that did not
/// own the partition costs 1.
private struct LeastMovement {
    private struct Edge {
        let to: Int
        var room: Int
        let cost: Int
    }

    private var edges: [Edge] = []
    private var edgesOf: [[Int]]
    private let source: Int
    private let sink: Int

    init(from old: Ring, to new: Ring) {
        let zones = Array(Set(new.members.map { $0.zone ?? $0.name })).sorted()
        let zoneOf = new.members.map { zones.firstIndex(of: $0.zone ?? $0.name) ?? 0 }
        let sizes = zones.indices.map { zone in zoneOf.filter { $0 == zone }.count }
        var perZone = 1
        while sizes.reduce(0, { $0 + min(perZone, $1) }) < new.replicas { perZone += 1 }

        let (partitions, nodes) = (new.partitions, new.members.count)
        source = partitions * (1 + zones.count) + nodes
        sink = source + 1
        edgesOf = [[Int]](repeating: [], count: sink + 1)
        let firstNode = partitions * (1 + zones.count)
        for partition in 0..<partitions {
            add(source, partition, new.replicas, 0)
            let before = old.owners(ofPartition: partition).map { old.member($0).name }
            for zone in zones.indices { add(partition, partitions * (1 + zone) + partition, perZone, 0) }
            for (node, member) in new.members.enumerated() {
                let cost = before.contains(member.name) ? 0 : 1
                add(partitions * (1 + zoneOf[node]) + partition, firstNode + node, 1, cost)
            }
        }
        for (node, load) in new.loads().enumerated() { add(firstNode + node, sink, load, 0) }
    }

    private mutating func add(_ from: Int, _ to: Int, _ room: Int, _ cost: Int) {
        edgesOf[from].append(edges.count)
        edges.append(Edge(to: to, room: room, cost: cost))
        edgesOf[to].append(edges.count)
        edges.append(Edge(to: from, room: 0, cost: -cost))
    }

    /// Successive cheapest paths.
    consuming func cost() -> Int {
        var total = 0
        while let (cost, path) = cheapestPath() {
            total += cost
            for edge in path {
                edges[edge].room -= 1
                edges[edge ^ 1].room += 1
            }
        }
        return total
    }

    private func cheapestPath() -> (Int, [Int])? {
        var costs = [Int](repeating: .max, count: sink + 1)
        var arrivedBy = [Int](repeating: -1, count: sink + 1)
        var queue = [source]
        var next = 0
        costs[source] = 0
        while next < queue.count {
            let place = queue[next]
            next += 1
            for edge in edgesOf[place] where edges[edge].room > 0 {
                let cost = costs[place] + edges[edge].cost
                guard cost < costs[edges[edge].to] else { continue }
                costs[edges[edge].to] = cost
                arrivedBy[edges[edge].to] = edge
                queue.append(edges[edge].to)
            }
        }
        guard arrivedBy[sink] >= 0 else { return nil }
        var path: [Int] = []
        var place = sink
        while place != source {
            path.append(arrivedBy[place])
            place = edges[arrivedBy[place] ^ 1].to
        }
        return (costs[sink], path)
    }
}
