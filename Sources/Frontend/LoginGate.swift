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
    private let sites: SiteLogins
    private let throttle: Mutex<LoginThrottle>
    private let clock: SystemClock
    private let metrics: FrontendMetrics
    private let log: Logger

    private static let later = Reason(454, "4.7.0", "logins cannot be checked now, try again later")
    private static let tooMany = Reason(454, "4.7.0", "too many logins wait already, try again later")

    init(
        directory: any AccountDirectory, sites: SiteLogins, throttle: LoginThrottle.Settings, clock: SystemClock,
        metrics: FrontendMetrics, log: Logger
    ) {
        self.directory = directory
        self.sites = sites
        self.throttle = Mutex(LoginThrottle(settings: throttle))
        self.clock = clock
        self.metrics = metrics
        self.log = log
    }

    /// The answer where it is known already, and nobody who failed before makes the login wait; never waits. Nil leaves no
    /// trace: `answer` then has it all to do.
    func answerNow(_ request: AuthenticationRequest, from address: String) -> LoginAnswer? {
        guard !SiteLogins.isSite(request.user), let answer = directory.answerNow(request), case .user = answer else {
            return nil
        }
        let account = directory.accountKey(of: request.user)
        let now = clock.monotonic()
        let place = throttle.withLock { $0.beginAtOnce(address: address, account: account, now: now) }
        guard let place else { return nil }
        LoginAttempt(place, at: self).end(.right)
        return LoginAnswer(answer)
    }

    /// Asks the directory when it is this login's turn; or says at once that too many stand before it.
    func answer(_ request: AuthenticationRequest, from address: String) async -> LoginAnswer {
        // Nobody from elsewhere can slow another site's logins down.
        let isSite = SiteLogins.isSite(request.user)
        let account = isSite ? "\(request.user) \(address)" : directory.accountKey(of: request.user)
        let now = clock.monotonic()
        let admission = throttle.withLock { $0.begin(address: address, account: account, now: now) }
        guard case .admitted(let place, let delay) = admission else {
            log.info("login refused unchecked", metadata: ["user": "\(request.user)", "client": "\(address)"])
            return LoginAnswer(.unavailable(Self.tooMany))
        }
        let attempt = LoginAttempt(place, at: self)
        do {
            if delay > .zero { try await Task.sleep(for: delay) }
            let answer =
                isSite ? sites.answer(request) : try await directory.answer(request)
            switch answer {
            case .user: attempt.end(.right)
            case .rejected: attempt.end(.wrong)
            case .credentials: return LoginAnswer(answer, attempt)
            case .unavailable: break
            }
            return LoginAnswer(answer)
        } catch DirectoryError.unavailable(let detail) {
            log.error("directory does not answer", metadata: ["error": "\(detail)"])
        } catch {
            // The client left: nobody waits for an answer.
        }
        return LoginAnswer(.unavailable(Self.later))
    }

    fileprivate func end(_ attempt: LoginThrottle.Attempt, _ outcome: LoginThrottle.Outcome) {
        if outcome == .wrong { metrics.loginFailures.increment() }
        let now = clock.monotonic()
        throttle.withLock { $0.end(attempt, outcome, now: now) }
    }
}

/// What the directory says, and for SCRAM the login that the session's check of the proof decides.
struct LoginAnswer: Sendable {
    let answer: AuthenticationAnswer
    let attempt: LoginAttempt?

    init(_ answer: AuthenticationAnswer, _ attempt: LoginAttempt? = nil) {
        self.answer = answer
        self.attempt = attempt
    }
}

/// One login that has its place at the throttle. It ends once; let go of before, nobody learned whether it was right.
final class LoginAttempt: Sendable {
    private let gate: LoginGate
    private let place: Mutex<LoginThrottle.Attempt?>

    fileprivate init(_ place: LoginThrottle.Attempt, at gate: LoginGate) {
        self.gate = gate
        self.place = Mutex(place)
    }

    deinit { end(.unknown) }

    func end(_ outcome: LoginThrottle.Outcome) {
        guard let place = place.withLock({ $0.take() }) else { return }
        gate.end(place, outcome)
    }
}
