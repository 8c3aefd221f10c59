package import NIOCore
import Synchronization

/// What has been done so far in one run; all event loops add to it.
package final class LoadTally: Sendable {
    package struct State: Sendable {
        /// Messages or sessions that ended well.
        package var succeeded = 0
        /// And those that did not, by reply code, or by a word where no reply came.
        package var errors: [String: Int] = [:]
        /// Messages sent or read in all.
        package var messages = 0
        package var octets = 0
        package var connections = 0
        package var latency = LatencyHistogram()
        /// POP3: from connecting to the answer to the login.
        package var loginLatency = LatencyHistogram()
        /// POP3: from RETR to the last octet, lock-step only.
        package var retrieveLatency = LatencyHistogram()
        package var began: NIODeadline?
        package var lastEnd: NIODeadline?
        /// Why connections could not be made.
        package var connectionTrouble: String?

        package var failed: Int { errors.values.reduce(0, +) }
        package var done: Int { succeeded + failed }

        /// From the first start to the last end.
        package var elapsed: Duration {
            guard let began, let lastEnd, lastEnd > began else { return .zero }
            return .nanoseconds((lastEnd - began).nanoseconds)
        }
    }

    private let state = Mutex(State())

    package init() {}

    package var current: State { state.withLock { $0 } }

    func change(_ body: (inout State) -> Void) {
        state.withLock { body(&$0) }
    }

    func begin() {
        change { $0.began = $0.began ?? .now() }
    }

    /// One message or session is over.
    /// - Parameter error: nil if it went well.
    func ended(error: String?, intended: NIODeadline, messages: Int = 0, octets: Int = 0) {
        let now = NIODeadline.now()
        change { state in
            state.lastEnd = now
            guard error == nil else { return state.errors[error ?? "", default: 0] += 1 }
            state.succeeded += 1
            state.messages += messages
            state.octets += octets
            state.latency.record(.nanoseconds((now - intended).nanoseconds))
        }
    }
}
