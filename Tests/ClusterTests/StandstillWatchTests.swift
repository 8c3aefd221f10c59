import Cluster
import Testing

@Suite("Standstills of a process")
struct StandstillWatchTests {
    @Test("Being away for longer than others may bear is noticed once, and being late for a moment is not")
    func away() {
        var watch = StandstillWatch(now: .seconds(5))
        for step in 1...20 { watch.note(now: .seconds(5) + .milliseconds(700 * step)) }
        #expect(watch.count == 0)
        watch.note(now: .seconds(20))
        #expect(watch.count == 1)
        watch.note(now: .seconds(20))
        watch.note(now: .milliseconds(20_100))
        #expect(watch.count == 1)
        watch.note(now: .seconds(22))
        #expect(watch.count == 2)
    }

    @Test("It is noticed before anybody could have taken the process for dead, and asked often enough for that")
    func margins() {
        #expect(StandstillWatch.awayMax < .seconds(1))
        #expect(StandstillWatch.interval * 4 < StandstillWatch.awayMax)
    }
}
