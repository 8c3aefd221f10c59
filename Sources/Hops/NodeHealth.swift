import Mail
import Synchronization

/// What all event loops of a process know of one storage node: whether any of them gets through to it, and whether it
/// answers in time. The circuit breaker of the hops: while it is open, messages go to other nodes at once.
package final class NodeHealth: Sendable {
    private struct State {
        var failures = 0
        var firstFailure: Duration?
        var isLost = false
        var isLagging = false
        var suspectUntil: Duration?
        var lastFailure: String?
    }

    private let state = Mutex(State())
    private let clock: @Sendable () -> Duration

    /// Connections that fail for less than this are no sign: the node may be starting again.
    private static let lossMin = Duration.seconds(1)
    private static let failuresMin = 3
    private static let suspicion = Duration.seconds(2)

    /// - Parameter clock: a time that does not jump.
    package init(clock: @escaping @Sendable () -> Duration) { self.clock = clock }

    /// By a clock of its own, which does not jump.
    package convenience init() {
        let start = ContinuousClock.now
        self.init(clock: { start.duration(to: .now) })
    }

    /// Whether connections to it fail, and have for a while.
    var isLost: Bool { state.withLock { $0.isLost } }

    /// Whether it is worth a try.
    package var isReachable: Bool { state.withLock { !$0.isLost && !$0.isLagging } }

    /// Whether a session that it should have opened failed a moment ago: others are tried first.
    package var isSuspect: Bool {
        let now = clock()
        return state.withLock { state in
            if let until = state.suspectUntil, now < until { return true }
            return state.isLost || state.isLagging
        }
    }

    /// It did not open a session.
    package func suspect() {
        let until = clock() + Self.suspicion
        state.withLock { $0.suspectUntil = until }
    }

    /// Why the last connection failed; nil if one has come up since.
    package var lastFailure: String? { state.withLock { $0.lastFailure } }

    /// A connection did not come up, or broke.
    package func failed(_ why: String) {
        let now = clock()
        state.withLock { state in
            state.lastFailure = why
            state.failures += 1
            let first = state.firstFailure ?? now
            state.firstFailure = first
            if state.failures >= Self.failuresMin, now - first >= Self.lossMin { state.isLost = true }
        }
    }

    /// It does not answer in time.
    func lagged() { state.withLock { $0.isLagging = true } }

    /// It has greeted, or answered.
    package func heard() {
        state.withLock { state in
            if state.failures > 0 || state.isLost || state.isLagging || state.suspectUntil != nil { state = State() }
        }
    }
}
