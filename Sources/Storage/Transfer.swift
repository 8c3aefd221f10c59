import Cluster
import Synchronization

/// Counts what is carried in the background, and holds it to a rate.
final class Transfer: Sendable {
    private struct State {
        var messages = 0
        var octets = 0
        var pace: ReadingPace
    }

    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private let state: Mutex<State>

    /// - Parameter rate: octets a second; 0 for no bound.
    init(rate: Int) {
        start = clock.now
        state = Mutex(State(pace: ReadingPace(rate: rate)))
    }

    var messages: Int { state.withLock { $0.messages } }
    var octets: Int { state.withLock { $0.octets } }

    /// Waits as long as a message of so many octets takes at that rate, behind those before it.
    func admit(_ octets: Int) async {
        let now = start.duration(to: clock.now)
        let debt = state.withLock { state in
            state.messages += 1
            state.octets += octets
            return state.pace.debt(after: octets, now: now)
        }
        if debt > .zero { try? await Task.sleep(for: debt) }
    }
}
