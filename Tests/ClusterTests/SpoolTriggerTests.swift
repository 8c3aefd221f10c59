import Cluster
import Testing

@Suite("Spool schedule, what makes it send")
struct SpoolTriggerTests {
    private let start: Int64 = 1_000_000

    @Test("At once: what is told of goes at once, what is not by the next listing", arguments: [false, true])
    func atOnce(_ tells: Bool) {
        let spool = SimulatedSpool(SpoolSettings(listingInterval: 60))
        spool.tellsArrivals = tells
        spool.run(until: start + 5)
        spool.add("told")
        spool.run(until: start + 5)
        #expect(spool.times("told") == [start + 5])
        let before = spool.listings
        spool.add("again")
        _ = spool.settle()
        #expect(spool.times("again") == [start + 5] && spool.listings == before + (tells ? 0 : 1))
        spool.directory["silent"] = SpoolEntry(name: "silent", birth: start)
        spool.run(until: start + 200)
        #expect(spool.times("silent").count == 1 && (spool.times("silent").first ?? 0) <= start + 65)
    }

    @Test("On a schedule: all that waits goes at each time, and nothing between")
    func every() {
        let spool = SimulatedSpool(SpoolSettings(trigger: .every(3600)))
        spool.peer = { entry, now in entry.name == "bad" && now < 1_010_000 ? .deferred : .sent }
        spool.add("a")
        spool.add("bad")
        spool.run(until: start + 10)
        #expect(spool.ends.count == 1)
        spool.add("b")
        spool.run(until: start + 3599)
        #expect(spool.tries.count == 2)
        spool.run(until: start + 3601)
        #expect(spool.times("b") == [start + 3600] && spool.times("bad") == [start, start + 3600])
        spool.run(until: start + 20_000)
        #expect(spool.ends.count == 3 && spool.times("bad").allSatisfy { ($0 - start) % 3600 == 0 })
    }

    @Test("On demand: nothing goes until it is told to; then all, whatever failed before, and nothing after")
    func onDemand() {
        let spool = SimulatedSpool(SpoolSettings(trigger: .onDemand))
        spool.peer = { entry, _ in entry.name == "bad" ? .deferred : .sent }
        spool.add("a")
        spool.add("bad")
        #expect(spool.settle() == nil && spool.tries.isEmpty && spool.listings == 0)
        spool.schedule.kick()
        #expect(spool.settle() == nil && spool.triedNames.sorted() == ["a", "bad"])
        spool.add("b")
        spool.run(until: start + 100_000)
        #expect(spool.tries.count == 2)
        spool.schedule.kick()
        #expect(spool.settle() == nil && spool.times("bad").count == 2 && spool.ends["b"] == "sent")
    }

    @Test("Told to, a resting link is tried at once")
    func kickLink() {
        let spool = SimulatedSpool(SpoolSettings())
        spool.peer = { _, _ in .broken }
        spool.add("a")
        spool.run(until: start + 5000)
        spool.peer = { _, _ in .sent }
        let before = spool.tries.count
        _ = spool.settle()
        #expect(spool.tries.count == before)
        spool.schedule.kick()
        _ = spool.settle()
        #expect(spool.ends == ["a": "sent"])
    }

    @Test(
        "Paused, nothing is done; resumed, it goes on",
        arguments: [SpoolSettings.Trigger.atOnce, .every(60), .onDemand])
    func pause(_ trigger: SpoolSettings.Trigger) {
        let spool = SimulatedSpool(SpoolSettings(trigger: trigger))
        spool.schedule.pause()
        spool.add("a")
        spool.schedule.kick()
        #expect(spool.settle() == nil && spool.tries.isEmpty && spool.schedule.isPaused)
        spool.schedule.resume()
        _ = spool.settle()
        #expect(spool.ends == ["a": "sent"])
    }

    @Test("What is done with or put off while the directory is listed is not sent again because of that listing")
    func races() {
        var schedule = SpoolSchedule(SpoolSettings())
        let entries = ["a", "b", "c", "d"].map { SpoolEntry(name: $0, birth: 0) }
        func list(during: (inout SpoolSchedule) -> Void) {
            #expect(schedule.next(now: 0) == .list)
            schedule.listingBegan(now: 0)
            for entry in entries.prefix(2) { schedule.offer(entry, now: 0) }
            during(&schedule)
            for entry in entries.dropFirst(2) { schedule.offer(entry, now: 0) }
            schedule.listingEnded(now: 0)
        }
        list { _ in }
        for entry in entries { #expect(schedule.next(now: 0) == .send(entry)) }
        schedule.arrived()
        list { schedule in
            #expect(schedule.next(now: 0) == .wait(until: nil))
            schedule.gone("a")
            schedule.gone("c")
            #expect(schedule.deferred("b", now: 0) == .keep)
            schedule.interrupted("d")
        }
        #expect(schedule.next(now: 0) == .send(entries[3]))
        schedule.gone("d")
        list { _ in }
        // The listing still shows what is gone: it is up to the driver to find no file.
        #expect(schedule.next(now: 0) == .send(entries[0]))
        schedule.gone("a")
        #expect(schedule.next(now: 0) == .send(entries[2]))
        schedule.gone("c")
        #expect(schedule.next(now: 0) == .send(entries[3]))
        schedule.gone("d")
        #expect(schedule.next(now: 0) == .wait(until: 60))
        #expect(schedule.next(now: 400) == .list)
    }

    @Test("What is unknown is ignored, and no clock breaks it")
    func odd() {
        var schedule = SpoolSchedule(SpoolSettings())
        schedule.gone("x")
        schedule.interrupted("x")
        #expect(schedule.deferred("x", now: .min) == .keep)
        for now in [Int64.min, -1, 0, .max] {
            schedule.kick()
            guard schedule.next(now: now) == .list else {
                Issue.record("no listing at \(now)")
                continue
            }
            schedule.listingBegan(now: now)
            for birth in [Int64.min, 0, .max] {
                schedule.offer(SpoolEntry(name: "\(birth)", birth: birth), now: now)
            }
            schedule.listingEnded(now: now)
            while case .send(let entry) = schedule.next(now: now) {
                if schedule.deferred(entry.name, now: now) == .giveUp { schedule.gone(entry.name) }
            }
            schedule.linkFailed(now: now, random: .max)
            _ = schedule.next(now: now)
        }
    }
}
