package import NIOCore

/// When the messages or sessions of one event loop's share are to start.
///
/// Without a rate the next starts as soon as there is room (closed loop). With a rate each has its time, whatever the
/// server does (open loop); latency counts from that time, so that a server that stops cannot hide how long the
/// others waited behind it.
package struct LoadSchedule: Sendable {
    package enum Next: Equatable, Sendable {
        /// Start this one; its latency counts from `intended`.
        case start(number: Int, intended: NIODeadline)
        case wait(until: NIODeadline)
        case over
    }

    private let begin: NIODeadline
    private let end: NIODeadline
    private let count: Int
    private let nanosecondsEach: Double?
    private let step: Int
    private var number: Int

    /// - Parameters:
    ///   - count: of all event loops together; nil for no bound but `duration`.
    ///   - rate: a second, of all event loops together; nil for a closed loop.
    ///   - share, shares: this loop's place among all loops, and their number.
    package init(
        begin: NIODeadline, count: Int?, duration: Duration?, rate: Double?, share: Int = 0, shares: Int = 1
    ) {
        self.begin = begin
        end = duration.map { begin + TimeAmount($0) } ?? .distantFuture
        self.count = count ?? .max
        nanosecondsEach = rate.map { 1_000_000_000 / $0 }
        step = shares
        number = share
    }

    package mutating func next(now: NIODeadline) -> Next {
        guard number < count else { return .over }
        guard let nanosecondsEach else { return now < end ? start(now) : .over }
        let intended = begin + .nanoseconds(Int64(Double(number) * nanosecondsEach))
        if intended >= end { return .over }
        return intended <= now ? start(intended) : .wait(until: intended)
    }

    private mutating func start(_ intended: NIODeadline) -> Next {
        defer { number += step }
        return .start(number: number, intended: intended)
    }
}
