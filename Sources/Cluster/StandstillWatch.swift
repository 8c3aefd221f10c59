/// Notices that this process stood still: it was stopped, or its machine slept, and others may have taken over its work
/// meanwhile, which it still believes to be its own.
///
/// Nobody takes a process for dead before it has been silent for a second; whoever was away for less has missed nothing.
package struct StandstillWatch: Sendable {
    /// How long it may be away unnoticed.
    package static let awayMax = Duration.milliseconds(750)
    /// `note(now:)` is to be called as often as that.
    package static let interval = Duration.milliseconds(100)

    private var last: Duration
    /// How often it stood still so far.
    package private(set) var count = 0

    /// - Parameter now: by any clock that goes on while the process does not.
    package init(now: Duration) { last = now }

    /// The process runs now.
    package mutating func note(now: Duration) {
        if now - last > Self.awayMax { count += 1 }
        last = now
    }
}
