import Mail
import Synchronization

/// Tells the drain of a relay what has come into its queues.
final class RelayInbox: Sendable {
    struct Arrival: Sendable {
        let queue: Int
        let identity: MessageIdentity
        let octets: Int
    }

    private struct State {
        var arrivals: [Arrival] = []
        /// More came than is remembered.
        var isOverfull = false
    }

    private let state = Mutex(State())
    let wakeUp = WakeUp()

    private static let arrivalsMax = 10_000

    func note(_ arrival: Arrival) {
        state.withLock { state in
            if state.arrivals.count < Self.arrivalsMax {
                state.arrivals.append(arrival)
            } else {
                state.isOverfull = true
            }
        }
        wakeUp.wake()
    }

    /// What has come since this was called last, and whether that is all of it.
    func take() -> (arrivals: [Arrival], isAll: Bool) {
        state.withLock { state in
            defer { state = State() }
            return (state.arrivals, !state.isOverfull)
        }
    }
}
