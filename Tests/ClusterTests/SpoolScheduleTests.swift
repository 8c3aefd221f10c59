import Cluster
import Testing

@Suite("Spool schedule")
struct SpoolScheduleTests {
    private let start: Int64 = 1_000_000

    @Test("The oldest goes first, and mailboxes take turns")
    func order() {
        let spool = SimulatedSpool(SpoolSettings())
        for (name, age, mailbox) in [("c", 10, "x"), ("a", 30, "x"), ("b", 20, "x"), ("y", 15, "z"), ("d", 5, "x")] {
            spool.add(name, age: Int64(age), mailbox: mailbox)
        }
        spool.run(until: start)
        #expect(spool.triedNames == ["a", "y", "b", "c", "d"])
        #expect(spool.ends.count == 5 && spool.listings == 1)
    }

    @Test("What a listing has found goes once, although it is told to have come too, and with another size")
    func foundAndArrived() {
        var schedule = SpoolSchedule(SpoolSettings())
        #expect(schedule.next(now: start) == .list)
        schedule.listingBegan(now: start)
        let found = ["a", "b"].map { SpoolEntry(name: $0, birth: start, bytes: 100, mailbox: "x") }
        for entry in found { schedule.offer(entry, now: start) }
        schedule.listingEnded(now: start)
        for name in ["a", "b"] {
            schedule.arrived(SpoolEntry(name: name, birth: start, bytes: 90, mailbox: "x"))
        }
        for entry in found { #expect(schedule.next(now: start) == .send(entry)) }
        guard case .wait = schedule.next(now: start) else {
            Issue.record("more than two are sent")
            return
        }
        #expect(schedule.inFlight == 2)
    }

    @Test("What a listing told that is not trusted any more is not sent before there is another one")
    func distrust() {
        var schedule = SpoolSchedule(SpoolSettings())
        schedule.listingBegan(now: start)
        let entries = ["a", "b", "c"].map { SpoolEntry(name: $0, birth: start) }
        for entry in entries { schedule.offer(entry, now: start) }
        schedule.listingEnded(now: start)
        for entry in entries.prefix(2) { #expect(schedule.next(now: start) == .send(entry)) }
        schedule.interrupted("b")
        schedule.distrust()
        #expect(schedule.next(now: start) == .list)
        schedule.listingBegan(now: start)
        // Another one has sent "c" meanwhile.
        for entry in entries.prefix(2) { schedule.offer(entry, now: start) }
        schedule.listingEnded(now: start)
        #expect(schedule.next(now: start) == .send(entries[1]))
        if case .send = schedule.next(now: start) { Issue.record("more is sent") }
    }

    @Test("What has come while it was given up is given up once")
    func expiredAndArrived() {
        var schedule = SpoolSchedule(SpoolSettings(lifetime: 10))
        #expect(schedule.next(now: start) == .list)
        schedule.listingBegan(now: start)
        schedule.listingEnded(now: start)
        schedule.linkFailed(now: start, random: 0)
        let later = start + 11
        let entry = SpoolEntry(name: "a", birth: start, bytes: 100, mailbox: "x")
        schedule.listingBegan(now: start)
        schedule.offer(entry, now: later)
        schedule.listingEnded(now: start)
        schedule.arrived(SpoolEntry(name: "a", birth: start, bytes: 90, mailbox: "x"))
        schedule.linkWorks()
        #expect(schedule.next(now: later) == .send(entry))
        #expect(schedule.inFlight == 1)
        if case .send = schedule.next(now: later) { Issue.record("it is sent again") }
    }

    @Test("Messages born in the same second go by their names")
    func sameSecond() {
        let spool = SimulatedSpool(SpoolSettings())
        for name in ["3", "1", "2"] { spool.add(name) }
        spool.run(until: start)
        #expect(spool.triedNames == ["1", "2", "3"])
    }

    @Test("One bad message holds up nothing behind it, in its own mailbox neither", arguments: [1, 4])
    func bad(_ inFlight: Int) {
        let spool = SimulatedSpool(SpoolSettings())
        spool.inFlightMax = inFlight
        spool.peer = { entry, _ in entry.name == "bad" ? .deferred : .sent }
        spool.add("bad", age: 10, mailbox: "x")
        for number in 0..<10 { spool.add("good\(number)", mailbox: "x") }
        spool.run(until: start)
        #expect(spool.ends.count == 10 && spool.times("bad") == [start])
    }

    @Test("As qmail: what failed is tried 400, 1600, 3600 … seconds after its birth, and given up when it is too old")
    func backoff() {
        var settings = SpoolSettings(lifetime: 7 * 86_400)
        settings.listingInterval = 100_000_000
        let spool = SimulatedSpool(settings)
        spool.peer = { _, _ in .deferred }
        spool.add("a")
        spool.run(until: start + 8 * 86_400)
        #expect(spool.times("a").prefix(5).map { $0 - start } == [0, 400, 1600, 3600, 6400])
        #expect(spool.ends == ["a": "given up"])
        #expect((7 * 86_400..<7 * 86_400 + 40_000).contains((spool.times("a").last ?? 0) - start))
        settings.lifetime = nil
        let site = SimulatedSpool(settings)
        site.peer = { _, _ in .deferred }
        site.add("a")
        site.run(until: start + 100 * 86_400)
        #expect(site.ends.isEmpty && site.times("a").count > 100)
    }

    @Test("What is too old already gets one try")
    func oneTry() {
        for outcome in [SimulatedSpool.Outcome.deferred, .sent] {
            let spool = SimulatedSpool(SpoolSettings())
            spool.peer = { _, _ in outcome }
            spool.add("old", age: 8 * 86_400)
            spool.run(until: start)
            #expect(spool.tries.count == 1 && spool.ends.count == 1)
        }
    }

    @Test("A link that fails rests as a whole, longer each time, and its messages go in their order when it is back")
    func link() {
        let spool = SimulatedSpool(SpoolSettings())
        let back = start + 3000
        spool.inFlightMax = 3
        spool.peer = { _, now in now < back ? .broken : .sent }
        for number in 10..<30 { spool.add("m\(number)", age: Int64(100 - number)) }
        spool.run(until: start + 4000)
        let attempts = Set(spool.tries.map(\.time)).sorted()
        let rests = zip(attempts.dropFirst(), attempts).map { $0 - $1 }
        #expect((8...30).contains(attempts.count) && rests.allSatisfy { (1...300).contains($0) })
        #expect(rests.last ?? 0 >= 150 && rests[0] <= 2)
        #expect(spool.tries.filter { $0.time >= back }.map(\.name) == (10..<30).map { "m\($0)" })
        #expect(!spool.schedule.linkRests(at: start))
    }

    @Test("Rests are spread by what is random")
    func spread() {
        let waits = (0..<64 as Range<UInt64>).map { number in
            var schedule = SpoolSchedule(SpoolSettings(lifetime: nil))
            for _ in 0..<6 { schedule.linkFailed(now: 0, random: number << 58) }
            guard case .wait(let until?) = schedule.next(now: 0) else { return Int64(0) }
            return until
        }
        #expect(Set(waits).count > 16 && waits.allSatisfy { (32...64).contains($0) })
    }

    @Test("While the link is down, what becomes too old is given up, once, and nothing else")
    func expiryWhileDown() {
        let spool = SimulatedSpool(SpoolSettings(lifetime: 86_400))
        spool.peer = { _, _ in .broken }
        for number in 0..<50 { spool.add("m\(number)", age: Int64(number) * 3600) }
        spool.run(until: start)
        #expect(spool.ends.isEmpty == false)
        spool.run(until: start + 3600 * 12 + 120)
        #expect(spool.ends.count == 50 - 12 && spool.ends.values.allSatisfy { $0 == "given up" })
        spool.peer = { _, _ in .sent }
        spool.run(until: start + 3600 * 13 - 120)
        #expect(spool.ends.values.count { $0 == "sent" } == 12)
    }

    @Test("A refused message is done with")
    func refused() {
        let spool = SimulatedSpool(SpoolSettings())
        spool.peer = { _, _ in .refused }
        spool.add("a")
        spool.run(until: start + 10_000)
        #expect(spool.tries.count == 1 && spool.ends == ["a": "refused"])
    }
}
