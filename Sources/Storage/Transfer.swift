import Synchronization

/// Counts what is carried in the background, and holds it to a rate.
final class Transfer: Sendable {
    private struct State {
        var messages = 0
        var octets = 0
        var nextAt: ContinuousClock.Instant
    }

    private let rate: Int
    private let state: Mutex<State>

    /// - Parameter rate: octets a second; 0 for no bound.
    init(rate: Int) {
        self.rate = rate
        state = Mutex(State(nextAt: .now))
    }

    var messages: Int { state.withLock { $0.messages } }
    var octets: Int { state.withLock { $0.octets } }

    /// Waits until a message of so many octets may go.
    func admit(_ octets: Int) async {
        let now = ContinuousClock.now
        let start = state.withLock { state in
            state.messages += 1
            state.octets += octets
            let start = max(state.nextAt, now)
            if rate > 0 { state.nextAt = start + .seconds(1) * octets / rate }
            return start
        }
        if start > now { try? await Task.sleep(until: start) }
    }
}
