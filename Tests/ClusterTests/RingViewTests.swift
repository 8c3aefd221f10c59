import Cluster
import Testing

@Suite("Ring: plan, table and picture")
struct RingViewTests {
    @Test("A plan names each copy that moves, where it is and who gets it; its sums agree")
    func plan() {
        let ring = Ring(members: nodes(4), partitions: 256, replicas: 2)
        let next = ring.removing("store-2").adding(RingMember(name: "store-9"))
        let plan = RingPlan(from: ring, to: next)
        for move in plan.moves {
            #expect(!move.from.contains(move.to))
            #expect(move.from == ring.owners(ofPartition: move.partition).map { ring.member($0).name })
            #expect(next.owners(ofPartition: move.partition).contains { next.member($0).name == move.to })
        }
        #expect(plan.nodes.map(\.name) == ["store-1", "store-2", "store-3", "store-4", "store-9"])
        #expect(plan.nodes.allSatisfy { $0.before + $0.gains - $0.losses == $0.after })
        #expect(plan.nodes.reduce(0) { $0 + $1.gains } == plan.moves.count)
        #expect(plan.epochAfter == 3)
        #expect(plan.copies == 512)
        #expect(plan.movedShare >= plan.unavoidableShare)
    }

    @Test("The table shows every node with its load")
    func table() {
        let ring = Ring(
            members: [RingMember(name: "big", weight: 2, zone: "east"), RingMember(name: "a"), RingMember(name: "b")],
            partitions: 400, replicas: 1)
        #expect(
            RingTable.text(ring) == """
                epoch 1: 3 nodes, 400 partitions, 1 copy of each

                node  zone  weight  copies   fair    load  preferred
                a     -          1     100  100.0  100.0%        100
                b     -          1     100  100.0  100.0%        100
                big   east       2     200  200.0  100.0%        200

                greatest load 1.000 of the fair share

                """)
        #expect(
            RingTable.text(RingPlan(from: ring, to: ring.removing("b"))) == """
                epoch 1 to 2

                node  before  after  gets  gives
                a        100    134   +34      -
                b        100      0     -   -100
                big      200    266   +66      -

                100 of 400 copies move (25.0%); unavoidable are 100 (25.0%)

                """)
    }

    @Test("The picture is well-formed: every element is closed, and names are escaped")
    func picture() {
        let members = (1...70).map {
            RingMember(name: "<n&\"\($0)>", weight: 1 + $0 % 3, zone: $0 % 4 == 0 ? nil : "z<\($0 % 4)")
        }
        for ring in [
            Ring(members: members, partitions: 8192, replicas: 3),
            Ring(members: [RingMember(name: "only")], partitions: 7, replicas: 1),
        ] {
            let svg = RingPicture.svg(ring, title: "Ring <of> \"mail\" & more")
            #expect(unclosed(svg) == [])
            #expect(!svg.contains("\"nan") && !svg.contains(" nan") && !svg.contains("inf"))
            #expect(!svg.contains("<n&"))
        }
    }

    /// Names of elements that are open at the end, or that were closed in the wrong order.
    private func unclosed(_ svg: String) -> [String] {
        var open: [String] = []
        for piece in svg.split(separator: "<").dropFirst(svg.hasPrefix("<") ? 0 : 1) {
            guard let end = piece.firstIndex(of: ">") else { return ["no end: \(piece)"] }
            let tag = piece[..<end]
            let name = String(tag.prefix { $0 != " " && $0 != "/" })
            if tag.hasPrefix("/") {
                guard open.popLast() == String(tag.dropFirst()) else { return ["wrong: \(tag)"] }
            } else if !tag.hasSuffix("/") {
                open.append(name)
            }
        }
        return open
    }
}
