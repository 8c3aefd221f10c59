import Cluster
import Testing

@Suite("The pace of reading")
struct ReadingPaceTests {
    @Test("What is read at once is paid for by resting; so is what is read before that is over")
    func debt() {
        var pace = ReadingPace(rate: 1_000)
        #expect(pace.debt(after: 500, now: .zero) == .milliseconds(500))
        #expect(pace.debt(after: 500, now: .zero) == .milliseconds(1_000))
        #expect(pace.debt(after: 250, now: .milliseconds(750)) == .milliseconds(500))
    }

    @Test("Time in which nothing was read is not saved up for a burst")
    func idle() {
        var pace = ReadingPace(rate: 1_000)
        #expect(pace.debt(after: 100, now: .seconds(3_600)) == .milliseconds(100))
        #expect(pace.debt(after: 100, now: .seconds(3_600)) == .milliseconds(200))
    }

    @Test("A rate of 0 never rests, and the largest sizes do not overflow")
    func edges() {
        var free = ReadingPace(rate: 0)
        #expect(free.debt(after: .max, now: .zero) == .zero)
        var slow = ReadingPace(rate: 1)
        #expect(slow.debt(after: 1 << 40, now: .zero) == .seconds(1 << 40))
    }
}
