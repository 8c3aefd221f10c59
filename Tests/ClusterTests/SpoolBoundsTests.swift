import Cluster
import SeededRandom
import Testing

@Suite("Spool schedule, large spools")
struct SpoolBoundsTests {
    private let start: Int64 = 1_000_000

    @Test("A window at a time, a spool of any size is sent, each message once and oldest first")
    func windows() {
        let spool = SimulatedSpool(SpoolSettings(windowMax: 100))
        for number in 0..<5000 { spool.add("m\(number)", age: Int64(number)) }
        spool.run(until: start)
        #expect(spool.ends.count == 5000 && spool.tries.count == 5000)
        #expect(spool.triedNames == (0..<5000).reversed().map { "m\($0)" })
        #expect(spool.heldMax <= 201 && spool.listings <= 52)
    }

    @Test("A mailbox with very many old messages does not hold up another's few")
    func shares() {
        let spool = SimulatedSpool(SpoolSettings(windowMax: 100))
        for number in 0..<5000 { spool.add("big\(number)", age: Int64(number) + 10, mailbox: "big") }
        for number in 0..<10 { spool.add("small\(number)", age: 5, mailbox: "small") }
        spool.run(until: start)
        #expect(spool.ends.count == 5010)
        let last = spool.triedNames.lastIndex { $0.hasPrefix("small") } ?? .max
        #expect(last < 150)
        let big = spool.triedNames.filter { $0.hasPrefix("big") }
        #expect(big == (0..<5000).reversed().map { "big\($0)" })
    }

    @Test("More failures than can be remembered hold up nothing, are tried again by their age, and are given up")
    func overfull() {
        var settings = SpoolSettings(lifetime: 20_000, windowMax: 50, deferredMax: 40)
        settings.listingInterval = 60
        let spool = SimulatedSpool(settings)
        spool.peer = { entry, _ in entry.name.hasPrefix("bad") ? .deferred : .sent }
        for number in 0..<500 { spool.add("bad\(number)", age: Int64(number % 7)) }
        for number in 0..<300 { spool.add("good\(number)") }
        spool.run(until: start)
        #expect(spool.ends.count == 300)
        // The clock of the host where it was born is ahead.
        spool.add("ahead", age: -15_000)
        var added = 0
        spool.run(until: start + 19_000) { spool in
            while added < 100, spool.now > self.start + Int64(added) * 150 {
                // Also one that was born long ago, elsewhere.
                spool.add("new\(added)", age: added % 2 == 0 ? 0 : 5000)
                added += 1
            }
        }
        let times = (0..<100).map { number in
            (spool.times("new\(number)").first ?? .max) - (self.start + Int64(number) * 150)
        }
        let fresh = times.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        #expect(fresh.allSatisfy { $0 <= 120 }, "\(times)")
        #expect(times.allSatisfy { $0 < 10_000 })
        #expect((spool.times("ahead").first ?? .max) <= start + 120)
        // Tries at 0, 400, 1600, 3600, 6400, 10000 and 14400 seconds, and one more for each change of memory.
        for number in 0..<500 { #expect((6...10).contains(spool.times("bad\(number)").count), "\(number)") }
        #expect(spool.heldMax <= 2 * 50 + 40 + 50 + 1)
        spool.run(until: start + 60_000)
        #expect(spool.ends.count == 901 && spool.directory.isEmpty)
        #expect(spool.ends.values.count { $0 == "given up" } == 500)
    }

    @Test("Whatever a peer does, every message ends once, also over restarts", arguments: 1...12)
    func anything(_ seed: Int) {
        var random = SplitMix(seed: UInt64(seed))
        let settings = SpoolSettings(
            lifetime: 50_000, windowMax: [1, 7, 1000].randomElement(using: &random) ?? 1,
            deferredMax: [1, 5, 1000].randomElement(using: &random) ?? 1)
        let spool = SimulatedSpool(settings)
        spool.tellsArrivals = seed % 2 == 0
        spool.inFlightMax = Int.random(in: 1...5, using: &random)
        spool.peer = { entry, now in
            let luck = (now &* 31 &+ Int64(entry.name.utf8.reduce(0) { $0 &* 31 &+ Int($1) })) % 10
            return luck < 4 ? .sent : luck < 7 ? .deferred : luck < 8 ? .refused : .broken
        }
        var (added, restarts) = (0, 0)
        spool.run(until: start + 40_000) { spool in
            if added < 200, Bool.random(using: &random) {
                spool.add("m\(added)", age: Int64.random(in: 0...100, using: &random), mailbox: "b\(added % 3)")
                added += 1
            }
            if Int.random(in: 0..<100, using: &random) == 0 {
                spool.restart()
                restarts += 1
            }
        }
        #expect(added == 200 && restarts > 0)
        spool.run(until: start + 200_000)
        #expect(spool.directory.isEmpty && spool.ends.count == added, "\(spool.directory.count)")
    }
}
