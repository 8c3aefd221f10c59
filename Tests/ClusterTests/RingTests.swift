import Cluster
import Mail
import SeededRandom
import Testing

@Suite("Ring")
struct RingTests {
    @Test("The order of the members does not matter, and their names do")
    func setOfMembers() {
        var random = SplitMix(seed: 1)
        let members = nodes(9, zones: 3)
        let ring = Ring(members: members, partitions: 512, replicas: 2)
        for _ in 0..<5 {
            #expect(Ring(members: members.shuffled(using: &random), partitions: 512, replicas: 2) == ring)
        }
        let others = members.map { RingMember(name: "other-" + $0.name, weight: $0.weight, zone: $0.zone) }
        #expect(Ring(members: others, partitions: 512, replicas: 2).loads().count == 9)
    }

    @Test("Tables never change: their digests are pinned, because mail lies by them")
    func pinned() {
        let three = Ring(members: nodes(3), partitions: 4096, replicas: 1)
        let zoned = Ring(members: nodes(10, zones: 4), partitions: 1024, replicas: 3)
        #expect(digest(three) == 3_971_249_352_198_983_652)
        #expect(digest(three.adding(RingMember(name: "store-4"))) == 9_456_442_130_502_097_528)
        #expect(digest(zoned) == 16_022_295_720_695_520_187)
        #expect(digest(zoned.removing("store-3")) == 16_898_222_323_213_113_513)
    }

    @Test(
        "Design goal: equal weights load nodes to at most 1.05 of the mean, or one copy more than fair",
        arguments: [(3, 4096), (4, 4096), (5, 4096), (10, 4096), (32, 4096), (100, 4096), (1_000, 1024)], [1, 2, 3])
    func evenLoad(size: (nodes: Int, partitions: Int), replicas: Int) {
        let ring = Ring(members: nodes(size.nodes), partitions: size.partitions, replicas: replicas)
        let mean = Double(size.partitions * replicas) / Double(size.nodes)
        let loads = ring.loads()
        #expect(loads.allSatisfy { abs(Double($0) - mean) < 1 })
        if mean >= 20 { #expect(ring.loadRatio <= 1.05) }
    }

    @Test(
        "Design goal: one node more or less moves at most 1.05 of the unavoidable",
        arguments: [4, 5, 7, 10, 33, 100], [1, 2, 3])
    func leastMovement(count: Int, replicas: Int) {
        let ring = Ring(members: nodes(count), partitions: 4096, replicas: replicas)
        let added = RingPlan(from: ring, to: ring.adding(RingMember(name: "new")))
        #expect(Double(added.moves.count) <= 1.05 * Double(4096 * replicas) / Double(count + 1))
        #expect(added.moves.allSatisfy { $0.to == "new" })
        let removed = RingPlan(from: ring, to: ring.removing("store-2"))
        #expect(Double(removed.moves.count) <= 1.05 * Double(removed.unavoidable))
        #expect(removed.unavoidable == removed.nodes.first { $0.name == "store-2" }?.before)
    }

    @Test(
        "Design goals hold for 1,000 nodes, with 20 partitions for each and with more", arguments: [20_480, 32_768],
        [1, 2, 3])
    func thousandNodes(partitions: Int, replicas: Int) {
        let ring = Ring(members: nodes(1_000), partitions: partitions, replicas: replicas)
        let mean = Double(partitions * replicas) / 1_000
        #expect(ring.loads().allSatisfy { abs(Double($0) - mean) < 1 })
        #expect(ring.loadRatio <= 1.05)
        let added = RingPlan(from: ring, to: ring.adding(RingMember(name: "new")))
        #expect(Double(added.moves.count) <= 1.05 * Double(partitions * replicas) / 1_001)
        #expect(added.moves.allSatisfy { $0.to == "new" })
        let removed = RingPlan(from: ring, to: ring.removing("store-2"))
        #expect(Double(removed.moves.count) <= 1.05 * Double(removed.unavoidable))
        #expect(removed.unavoidable == removed.nodes.first { $0.name == "store-2" }?.before)
    }

    @Test("From 3 nodes to 24 and back, one at a time: loads stay fair, and no step moves more than it must")
    func manyEpochs() {
        var random = SplitMix(seed: 5)
        var ring = Ring(members: nodes(3), partitions: 512, replicas: 2)
        for count in 4...24 {
            let next = ring.adding(RingMember(name: "late-\(count)"))
            check(ring, next)
            ring = next
        }
        while ring.members.count > 3 {
            let next = ring.removing(ring.members[Int.random(in: 0..<ring.members.count, using: &random)].name)
            check(ring, next)
            ring = next
        }
        #expect(ring.epoch == 43)
    }

    private func check(_ old: Ring, _ new: Ring) {
        let plan = RingPlan(from: old, to: new)
        #expect(plan.moves.count == plan.unavoidable)
        let mean = Double(new.partitions * new.replicas) / Double(new.members.count)
        #expect(new.loads().allSatisfy { abs(Double($0) - mean) < 1 })
    }

    @Test(
        "Random members, weights and zones: owners differ, zones differ where they can, loads are fair",
        arguments: 0..<4 as Range<UInt64>)
    func anyMembership(seed: UInt64) {
        var random = SplitMix(seed: seed)
        for _ in 0..<250 {
            let ring = randomRing(&random)
            expectSound(ring)
            let newcomer = RingMember(
                name: "new", weight: Int.random(in: 1...4, using: &random), zone: ring.members[0].zone)
            expectSound(ring.adding(newcomer))
            if ring.members.count > ring.replicas { expectSound(ring.removing(ring.members[0].name)) }
        }
    }

    private func randomRing(_ random: inout SplitMix) -> Ring {
        let replicas = Int.random(in: 1...3, using: &random)
        let zones = [0, 2, 3, 5].randomElement(using: &random) ?? 0
        let members = (0..<Int.random(in: replicas...12, using: &random)).map { _ in
            RingMember(
                name: "node-\(UInt32.random(in: 0 ... .max, using: &random))",
                weight: Int.random(in: 1...4, using: &random),
                zone: zones == 0 ? nil : "zone-\(Int.random(in: 0..<zones, using: &random))")
        }
        return Ring(
            members: members, partitions: [16, 61, 128].randomElement(using: &random) ?? 64, replicas: replicas)
    }

    private func expectSound(_ ring: Ring) {
        let zonesInAll = Set(ring.members.map { $0.zone ?? $0.name }).count
        for partition in 0..<ring.partitions {
            let owners = ring.owners(ofPartition: partition).map(ring.member)
            #expect(Set(owners.map(\.name)).count == ring.replicas)
            let zones = Set(owners.map { $0.zone ?? $0.name }).count
            #expect(zones == min(ring.replicas, zonesInAll), "\(owners)")
        }
        for (load, fair) in zip(ring.loads(), ring.fairShares()) { #expect(abs(Double(load) - fair) < 1) }
    }

    @Test("The preferred owners of a new cluster are spread as evenly as all owners")
    func firstOwners() {
        let ring = Ring(members: nodes(12), partitions: 4096, replicas: 3)
        let mean = 4096.0 / 12
        #expect(ring.firstOwnerLoads().allSatisfy { abs(Double($0) - mean) < 0.05 * mean })
    }

    @Test("Any two nodes share partitions, so a dead node's work spreads over all the others")
    func pairs() {
        let ring = Ring(members: nodes(8), partitions: 4096, replicas: 2)
        var together = [[Int]](repeating: [Int](repeating: 0, count: 8), count: 8)
        for partition in 0..<4096 {
            let owners = ring.owners(ofPartition: partition).map(Int.init).sorted()
            together[owners[0]][owners[1]] += 1
        }
        let mean = 4096.0 / 28
        for left in 0..<8 {
            for right in left + 1..<8 { #expect(abs(Double(together[left][right]) - mean) < 0.5 * mean) }
        }
    }

    @Test("A change of weight moves what the shares demand; a change of nothing moves nothing")
    func weights() {
        let ring = Ring(members: nodes(5), partitions: 1024, replicas: 2)
        #expect(RingPlan(from: ring, to: ring.changed(to: ring.members)).moves.isEmpty)
        let heavier = ring.adding(RingMember(name: "store-1", weight: 2))
        let plan = RingPlan(from: ring, to: heavier)
        #expect(plan.moves.count == plan.unavoidable)
        #expect(heavier.loads()[0] > ring.loads()[0])
    }

    @Test("More replicas: every owner stays, and new ones join")
    func moreReplicas() {
        let ring = Ring(members: nodes(6, zones: 3), partitions: 512, replicas: 1)
        let safer = ring.changed(to: ring.members, replicas: 2)
        expectSound(safer)
        #expect(RingPlan(from: ring, to: safer).moves.count == 512)
    }

    @Test("A member is found by its name")
    func index() {
        let ring = Ring(members: nodes(20), partitions: 64, replicas: 1)
        for member in ring.members { #expect(ring.index(of: member.name).map(ring.member) == member) }
        #expect(ring.index(of: "store-21") == nil)
        #expect(ring.index(of: "") == nil)
    }
}

func nodes(_ count: Int, zones: Int = 0) -> [RingMember] {
    (1...count).map { RingMember(name: "store-\($0)", zone: zones == 0 ? nil : "zone-\($0 % zones)") }
}

/// XXH64 over all owners' names, partition by partition.
func digest(_ ring: Ring) -> UInt64 {
    let lines = (0..<ring.partitions).map { partition in
        ring.owners(ofPartition: partition).map { ring.member($0).name }.joined(separator: " ")
    }
    return StableHash.xxh64(lines.joined(separator: "\n"))
}
