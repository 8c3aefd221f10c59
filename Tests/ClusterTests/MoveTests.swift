import Cluster
import Testing

@Suite("Moves")
struct MoveTests {
    @Test("A mailbox is given up only when every owner was found to lack nothing")
    func allOwners() {
        var move = Move(owners: [4, 7])
        #expect(move.next == .give(to: 4))
        #expect(move.compared(carried: 3, isComplete: true) == .give(to: 4))
        #expect(move.compared(carried: 0, isComplete: true) == .give(to: 7))
        #expect(move.compared(carried: 0, isComplete: true) == .giveUp)
    }

    @Test("An owner that does not take all, or does not answer, stops it")
    func incomplete() {
        var move = Move(owners: [4, 7])
        #expect(move.compared(carried: 0, isComplete: true) == .give(to: 7))
        #expect(move.compared(carried: 0, isComplete: false) == .stop)
    }

    @Test("A mailbox that grows as fast as it is carried is left for later")
    func busy() {
        var move = Move(owners: [1])
        var steps: [Move.Step] = []
        for _ in 0..<4 { steps.append(move.compared(carried: 1, isComplete: true)) }
        #expect(steps == [.give(to: 1), .give(to: 1), .give(to: 1), .stop])
    }

    @Test("Nothing moves while a node goes by another ring, or is not heard of")
    func epochs() {
        #expect(Move.mayBegin(ring: 3, others: [3, 3]))
        #expect(!Move.mayBegin(ring: 3, others: [3, 2]))
        #expect(!Move.mayBegin(ring: 3, others: [4]))
        #expect(!Move.mayBegin(ring: 3, others: [3, nil]))
    }

    @Test("Rings of the same epoch that differ have different fingerprints")
    func fingerprints() {
        let ring = Ring(members: nodes(3), partitions: 64, replicas: 1)
        let rings = [
            ring, ring.changed(to: ring.members), ring.adding(RingMember(name: "store-2", weight: 2)),
            ring.adding(RingMember(name: "store-2", zone: "east")), ring.removing("store-1"),
        ]
        #expect(Set(rings.map(\.fingerprint)).count == rings.count)
        #expect(Ring(members: nodes(3), partitions: 64, replicas: 1).fingerprint == ring.fingerprint)
    }
}
