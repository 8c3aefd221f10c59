/// When a waiting message is tried again: quadratic in its age, as qmail does it, so that no state has to be kept.
///
/// The next try is at birth + (√age + step)² seconds: after 0, 400, 1,600, 3,600 … seconds with a step of 20.
package struct QuadraticBackoff: Sendable, Equatable {
    /// qmail-send's 20 for remote and 10 for local deliveries, in √seconds.
    package let step: Int64

    package static let remote = QuadraticBackoff(step: 20)
    package static let local = QuadraticBackoff(step: 10)

    package init(step: Int64) {
        precondition(step > 0, "a back-off step of \(step)")
        self.step = step
    }

    /// The time of the next try, in seconds like `birth` and `now`: always later than `now`, whatever clocks say.
    package func nextTry(birth: Int64, now: Int64) -> Int64 {
        let age = now > birth ? Double(now) - Double(birth) : 0
        let root = age.squareRoot().rounded(.down) + Double(step)
        let wait = Int64(min(root * root - age, Self.waitMax))
        let (time, overflow) = now.addingReportingOverflow(max(1, wait))
        return overflow ? .max : time
    }

    /// 30 days: beyond that the clock jumped.
    private static let waitMax = 30.0 * 86_400
}

/// How long to wait before the next attempt to connect: doubled after each failure up to a bound, and spread, so that
/// all frontends do not return to a node in the same moment.
package struct ReconnectBackoff: Sendable, Equatable {
    package let first: Duration
    package let max: Duration

    package init(first: Duration, max: Duration) {
        self.first = first
        self.max = Swift.max(first, max)
    }

    /// - Parameters:
    ///   - failures: how many attempts failed in a row, from 1.
    ///   - random: 64 random bits. The delay lies between half of the full one and the full one.
    package func delay(failures: Int, random: UInt64) -> Duration {
        var full = first
        for _ in 1..<Swift.max(2, min(failures, 64)) where failures > 1 && full < max { full = min(full * 2, max) }
        let part = Double(random >> 11) / Double(UInt64(1) << 53)
        return full / 2 + full / 2 * part
    }
}
