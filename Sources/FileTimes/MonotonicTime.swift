import Glibc

/// Time that nobody sets.
package enum MonotonicTime {
    package static func now() -> Duration { read(CLOCK_MONOTONIC) }

    /// The same, and it goes on while the machine sleeps.
    package static func sinceBoot() -> Duration { read(CLOCK_BOOTTIME) }

    private static func read(_ clock: clockid_t) -> Duration {
        var time = timespec()
        clock_gettime(clock, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
