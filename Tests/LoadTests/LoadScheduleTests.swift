import NIOCore
import Testing

@testable import Load

@Suite("Schedule")
struct LoadScheduleTests {
    private let begin = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test("Closed loop: the next starts whenever there is room, until all are done")
    func closedLoop() {
        var schedule = LoadSchedule(begin: begin, count: 2, duration: nil, rate: nil)
        let now = begin + .seconds(5)
        #expect(schedule.next(now: now) == .start(number: 0, intended: now))
        #expect(schedule.next(now: now) == .start(number: 1, intended: now))
        #expect(schedule.next(now: now) == .over)
    }

    @Test("Open loop: latency counts from the time that each was due, however late it starts")
    func openLoop() {
        var schedule = LoadSchedule(begin: begin, count: nil, duration: .seconds(1), rate: 10)
        #expect(schedule.next(now: begin) == .start(number: 0, intended: begin))
        #expect(schedule.next(now: begin) == .wait(until: begin + .milliseconds(100)))
        let late = begin + .milliseconds(750)
        #expect(schedule.next(now: late) == .start(number: 1, intended: begin + .milliseconds(100)))
        #expect(schedule.next(now: late) == .start(number: 2, intended: begin + .milliseconds(200)))
    }

    @Test("Open loop: what was due before the end is started even after it, and nothing else")
    func openLoopEnd() {
        var schedule = LoadSchedule(begin: begin, count: nil, duration: .milliseconds(250), rate: 10)
        let late = begin + .seconds(9)
        for number in 0..<3 {
            #expect(
                schedule.next(now: late) == .start(number: number, intended: begin + .milliseconds(Int64(100 * number)))
            )
        }
        #expect(schedule.next(now: late) == .over)
    }

    @Test("Closed loop with a duration: nothing starts after its end")
    func duration() {
        var schedule = LoadSchedule(begin: begin, count: nil, duration: .seconds(1), rate: nil)
        #expect(schedule.next(now: begin) == .start(number: 0, intended: begin))
        #expect(schedule.next(now: begin + .seconds(1)) == .over)
    }

    @Test("The event loops' shares together are every number once")
    func shares() {
        var numbers: [Int] = []
        for share in 0..<3 {
            var schedule = LoadSchedule(begin: begin, count: 10, duration: nil, rate: nil, share: share, shares: 3)
            while case .start(let number, _) = schedule.next(now: begin) { numbers.append(number) }
        }
        #expect(numbers.sorted() == Array(0..<10))
    }
}
