import Cluster
import Testing

@Suite("Ring history")
struct RingHistoryTests {
    @Test("Lines are read as they are written")
    func roundTrip() throws {
        let lines = [
            "store-1 store-2=3@east store-3@west", "+store-4=2", "-store-1 store-2=1@east", "store-4=2@north",
            "store-3=0@west",
        ]
        let history = try RingHistory(lines: lines)
        #expect(history.memberships.map(\.count) == [3, 4, 3, 3, 3])
        #expect(history.lines == lines)
        #expect(history.memberships.last?.last == RingMember(name: "store-4", weight: 2, zone: "north"))
    }

    @Test("The same history gives the same table, which is not that of a new cluster")
    func replay() throws {
        let history = try RingHistory(lines: ["a b c", "+d", "-b", "+e=2"])
        let ring = try #require(history.rings(partitions: 256, replicas: 2).last)
        let byHand = Ring(members: ["a", "b", "c"].map { RingMember(name: $0) }, partitions: 256, replicas: 2)
            .adding(RingMember(name: "d")).removing("b").adding(RingMember(name: "e", weight: 2))
        #expect(ring == byHand)
        #expect(ring.epoch == 4)
        #expect(ring.members == history.memberships.last)
    }

    @Test("The line that is missing is told")
    func lineToReach() throws {
        let history = try RingHistory(lines: ["a b=2 c@west"])
        #expect(history.lineToReach(history.memberships[0]) == nil)
        let members = [RingMember(name: "a", zone: "east"), RingMember(name: "b"), RingMember(name: "d", weight: 5)]
        let line = try #require(history.lineToReach(members))
        #expect(line == "a=1@east b=1 -c +d=5")
        #expect(try RingHistory(lines: ["a b=2 c@west", line]).memberships[1] == members)
    }

    @Test(
        "What cannot be is refused, with its line",
        arguments: [
            (["a a"], 0), (["a", "b"], 1), (["a", "+a"], 1), (["a", "-b"], 1), (["a", "-a"], 1), (["a", ""], 1),
            (["a=-1"], 0), (["a=x"], 0), (["a@"], 0), (["=2"], 0), (["a=99999"], 0), ([], 0),
        ])
    func refused(lines: [String], line: Int) {
        #expect { try RingHistory(lines: lines) } throws: { ($0 as? RingHistoryError)?.line == line }
    }
}
