import CoreMetrics
import Directory
import Logging
import Mail
import SASL
import Synchronization

/// The way to the directory for those who log in: failures slow down what comes next from the same address or for the
/// same account.
final class LoginGate: Sendable {
    private let directory: any AccountDirectory
    private let throttle: Mutex<LoginThrottle>
    private let clock: SystemClock
    private let metrics: FrontendMetrics
    private let log: Logger

    init(
        directory: any AccountDirectory, throttle: LoginThrottle.Settings, clock: SystemClock,
        metrics: FrontendMetrics, log: Logger
    ) {
        self.directory = directory
        self.throttle = Mutex(LoginThrottle(settings: throttle))
        self.clock = clock
        self.metrics = metrics
        self.log = log
    }

    /// Asks the directory, after the delay that earlier failures have earned.
    func answer(_ request: AuthenticationRequest, from address: String) async -> AuthenticationAnswer {
        let now = clock.monotonic()
        let delay = throttle.withLock { $0.delay(address: address, account: request.user, now: now) }
        if delay > .zero {
            do { try await Task.sleep(for: delay) } catch { return .unavailable(.unexpected) }
        }
        do {
            let answer = try await directory.answer(request)
            note(answer, request, address)
            return answer
        } catch {
            log.error("directory does not answer", metadata: ["error": "\(error)"])
            return .unavailable(Reason(454, "4.7.0", "logins cannot be checked now, try again later"))
        }
    }

    private func note(_ answer: AuthenticationAnswer, _ request: AuthenticationRequest, _ address: String) {
        switch answer {
        case .user: succeeded(request.user)
        case .rejected: failed(request.user, from: address)
        case .credentials, .unavailable: break
        }
    }

    /// A proof that a session itself has checked (SCRAM) was right.
    func succeeded(_ user: String) {
        throttle.withLock { $0.succeeded(account: user) }
    }

    /// A password, digest or proof was wrong.
    func failed(_ user: String, from address: String) {
        metrics.loginFailures.increment()
        let now = clock.monotonic()
        _ = throttle.withLock { $0.failed(address: address, account: user, now: now) }
    }
}
