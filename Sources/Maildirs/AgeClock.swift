import FileTimes
import Synchronization

/// Tells whether ages by a wall clock can be believed: a clock that was set makes everything look old at once.
///
/// The wall clock is compared with time that nobody sets. After a jump nothing has an age until so much time went by that
/// whatever was there before the jump is that old in truth.
struct AgeClock: Sendable {
    struct Reading: Sendable {
        let wall: FileTime
        let monotonic: Duration
    }

    private var trusted: Reading?
    /// Since when the clock has run steadily at another offset than the trusted one.
    private var changed: (since: Duration, last: Reading)?

    private static let differenceMax: Int64 = 60

    /// Whether what looks older than `age` is. The first reading ever is taken for right.
    mutating func isTrustworthy(_ reading: Reading, age: Duration) -> Bool {
        guard let trusted, Self.differ(trusted, reading) else {
            self.trusted = reading
            changed = nil
            return true
        }
        guard let changed, !Self.differ(changed.last, reading) else {
            changed = (reading.monotonic, reading)
            return false
        }
        self.changed = (changed.since, reading)
        return reading.monotonic - changed.since >= age
    }

    private static func differ(_ left: Reading, _ right: Reading) -> Bool {
        let elapsed = (right.monotonic - left.monotonic).components.seconds
        return abs(right.wall.seconds - left.wall.seconds - elapsed) > differenceMax
    }
}

/// The clocks that a store tells ages by.
final class AgeClocks: Sendable {
    private let fileSystem = Mutex(AgeClock())
    private let local = Mutex(AgeClock())

    /// The time that is `age` ago by the file system's own clock, which is not always this host's.
    func limit(_ core: StoreCore, age: Duration) throws(MaildirError) -> FileTime {
        let now = try core.serverTime()
        try Self.check(fileSystem, now, age, core)
        return now.minus(age)
    }

    /// The same by this host's clock, for names: they begin with the time of the host that made them.
    func localLimit(_ core: StoreCore, age: Duration) throws(MaildirError) -> FileTime {
        let now = core.options.localTime?() ?? FileTime.now()
        try Self.check(local, now, age, core)
        return now.minus(age)
    }

    private static func check(
        _ clock: borrowing Mutex<AgeClock>, _ now: FileTime, _ age: Duration, _ core: StoreCore
    ) throws(MaildirError) {
        let reading = AgeClock.Reading(wall: now, monotonic: MonotonicTime.sinceBoot())
        guard clock.withLock({ $0.isTrustworthy(reading, age: age) }) else { throw .clockChanged(root: core.root.path) }
    }
}
