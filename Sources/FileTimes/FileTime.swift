package import Glibc

/// A moment as the file system writes it down: since 1970 in UTC.
package struct FileTime: Hashable, Comparable, Sendable {
    package let seconds: Int64
    package let nanoseconds: Int64

    package init(seconds: Int64, nanoseconds: Int64) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package init(_ time: timespec) {
        self.init(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    package static func now() -> FileTime { read(CLOCK_REALTIME) }

    /// The clock that local file systems stamp with: it stands still between two ticks, and never runs ahead of a stamp.
    package static func coarse() -> FileTime { read(CLOCK_REALTIME_COARSE) }

    private static func read(_ clock: clockid_t) -> FileTime {
        var time = timespec()
        clock_gettime(clock, &time)
        return FileTime(time)
    }

    package func minus(_ duration: Duration) -> FileTime {
        let (whole, attoseconds) = duration.components
        var result = (seconds: seconds - whole, nanoseconds: nanoseconds - attoseconds / 1_000_000_000)
        if result.nanoseconds < 0 { result = (result.seconds - 1, result.nanoseconds + 1_000_000_000) }
        return FileTime(seconds: result.seconds, nanoseconds: result.nanoseconds)
    }

    package static func < (left: FileTime, right: FileTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}
