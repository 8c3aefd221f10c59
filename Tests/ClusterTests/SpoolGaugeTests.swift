import Testing

@testable import Cluster

@Suite struct SpoolGaugeTests {
    @Test("A spool is nearly full at 80 % of its bound, full at the bound, and full until a fifth is free again")
    func levels() {
        var gauge = SpoolGauge(max: 10)
        var levels: [SpoolGauge.Level] = []
        for change in Array(repeating: 1, count: 10) + Array(repeating: -1, count: 10) {
            gauge.changed(by: change, at: "a")
            levels.append(gauge.level)
        }
        #expect(levels[..<7].allSatisfy { $0 == .roomy } && levels[7] == .nearlyFull && levels[8] == .nearlyFull)
        #expect(levels[9] == .full)
        #expect(levels[10] == .full && levels[11] == .full && levels[12] == .roomy)
    }

    @Test("The smallest bounds are bounds", arguments: 1...4)
    func small(max: Int) {
        var gauge = SpoolGauge(max: max)
        #expect(gauge.level == .roomy && gauge.spareRoom >= 1)
        gauge.changed(by: max - 1, at: "a")
        #expect(gauge.level != .full)
        gauge.changed(by: 1, at: "a")
        #expect(gauge.level == .full && gauge.spareRoom == 0)
        gauge.changed(by: -max, at: "a")
        #expect(gauge.level == .roomy)
    }

    @Test("Before the first walk is over, what it has counted and what came since is known to be there")
    func start() {
        var gauge = SpoolGauge(max: 10)
        gauge.changed(by: 2, at: "c")
        gauge.walkBegan()
        #expect(gauge.count == 2)
        gauge.counted(7, at: "a")
        #expect(gauge.count == 7)
        gauge.changed(by: 1, at: "a")
        gauge.counted(3, at: "c")
        #expect(gauge.count == 11 && gauge.level == .full)
        gauge.walkEnded()
        #expect(gauge.count == 11)
    }

    @Test("What changes during a walk counts once, before its place and behind it")
    func changesDuringWalk() {
        var gauge = SpoolGauge(max: 1000)
        gauge.walkBegan()
        gauge.counted(10, at: "b")
        gauge.changed(by: 2, at: "a")
        gauge.changed(by: 3, at: "b")
        gauge.changed(by: -1, at: "b")
        // These are in what is counted next.
        gauge.changed(by: 5, at: "c")
        gauge.counted(5, at: "c")
        gauge.changed(by: 1, at: "c")
        gauge.walkEnded()
        #expect(gauge.count == 20)
        gauge.changed(by: -20, at: "a")
        #expect(gauge.count == 0)
    }

    @Test("A walk corrects what another process did, also while it was full")
    func correction() {
        var gauge = SpoolGauge(max: 10)
        gauge.changed(by: 10, at: "a")
        for count in [4, 9, 0] {
            gauge.walkBegan()
            gauge.counted(count, at: "a")
            gauge.walkEnded()
            #expect(gauge.count == count)
        }
        #expect(gauge.level == .roomy)
        gauge.changed(by: -3, at: "a")
        #expect(gauge.count == 0 && gauge.spareRoom == 5)
    }

    @Test("What can wait may fill half of the spool")
    func spareRoom() {
        var gauge = SpoolGauge(max: 10)
        #expect(gauge.spareRoom == 5)
        gauge.changed(by: 4, at: "a")
        #expect(gauge.spareRoom == 1)
        gauge.changed(by: 1, at: "a")
        #expect(gauge.spareRoom == 0)
        gauge.changed(by: 3, at: "a")
        #expect(gauge.spareRoom == 0)
    }
}
