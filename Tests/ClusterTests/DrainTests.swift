import Cluster
import SeededRandom
import Testing

@Suite("Nodes that are emptied")
struct DrainTests {
    @Test(
        "Over random memberships: an emptied node owns nothing, only its mail moves, and its leaving then moves nothing",
        arguments: 0..<4 as Range<UInt64>)
    func anyMembership(seed: UInt64) {
        var random = SplitMix(seed: seed &+ 100)
        for _ in 0..<250 {
            let replicas = Int.random(in: 1...3, using: &random)
            let zones = [0, 3].randomElement(using: &random) ?? 0
            let members = (0...Int.random(in: replicas...12, using: &random)).map { index in
                RingMember(
                    name: "node-\(index)", weight: Int.random(in: 1...4, using: &random),
                    zone: zones == 0 ? nil : "zone-\(index % zones)")
            }
            let ring = Ring(members: members, partitions: 128, replicas: replicas)
            let leaver = members[Int.random(in: 0..<members.count, using: &random)]
            let drained = ring.adding(RingMember(name: leaver.name, weight: 0, zone: leaver.zone))
            let place = drained.index(of: leaver.name).map(Int.init) ?? -1
            #expect(drained.loads()[place] == 0)
            let list = PreferenceList.live(drained, partition: 7, isLive: { _ in true })
            #expect(list.count == members.count - 1 && !list.contains(Ring.NodeIndex(place)))
            for (load, fair) in zip(drained.loads(), drained.fairShares()) { #expect(abs(Double(load) - fair) < 1) }
            // What the others then own is what they would if it had left at once.
            let removed = ring.removing(leaver.name)
            #expect(
                drained.fairShares().enumerated().filter { $0.offset != place }.map(\.element) == removed.fairShares())
            #expect(RingPlan(from: ring, to: drained).moves.count == RingPlan(from: ring, to: removed).moves.count)
            #expect(RingPlan(from: drained, to: drained.removing(leaver.name)).moves.isEmpty)
        }
    }

    @Test("A node that was emptied gets its share again when it has a weight again")
    func back() {
        let ring = Ring(members: nodes(4), partitions: 1024, replicas: 2)
        let drained = ring.adding(RingMember(name: "store-2", weight: 0))
        let back = drained.adding(RingMember(name: "store-2", weight: 1))
        #expect(back.loads() == [512, 512, 512, 512])
        #expect(RingPlan(from: drained, to: back).moves.count == 512)
    }

    @Test("Too few nodes with a weight make no ring")
    func impossible() {
        let members = [RingMember(name: "a"), RingMember(name: "b", weight: 0)]
        #expect(Ring.isPossible(members, replicas: 1))
        #expect(!Ring.isPossible(members, replicas: 2))
    }
}
