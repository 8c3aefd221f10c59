/// When a log-in of an address or an account may be looked at: after failures they stand in line, one second apart, two,
/// four, up to a bound, and closer again as time goes by.
///
/// Every log-in takes its place in the line when it begins, so that many at once wait one behind the other. Who would
/// wait too long is refused instead. Times are durations since any fixed moment, by a clock that does not jump.
package struct LoginThrottle: Sendable {
    package struct Settings: Sendable, Equatable {
        /// The distance after the first failure; each further one doubles it.
        package var delayFirst: Duration
        /// The greatest distance, and the longest that anybody waits.
        package var delayMax: Duration
        /// One failure is forgotten whenever this passes without another.
        package var forgetting: Duration
        /// How many addresses and accounts are remembered in all, and how many pairs of them.
        package var entriesMax: Int
        /// How many log-ins of one address may be under way before each further one counts as a failure until it ends:
        /// all of them could be guesses.
        package var parallelPerAddress = 256
        /// The same for one account.
        package var parallelPerAccount = 16
        /// How long an address is remembered to have logged in to an account.
        package var knownFor = Duration.seconds(7 * 24 * 3600)

        package init(
            delayFirst: Duration = .seconds(1), delayMax: Duration = .seconds(30), forgetting: Duration = .seconds(60),
            entriesMax: Int = 100_000
        ) {
            self.delayFirst = delayFirst
            self.delayMax = delayMax
            self.forgetting = forgetting
            self.entriesMax = entriesMax
        }
    }

    /// A log-in that has its place, to be given back to `end(_:_:now:)` once.
    package struct Attempt: Sendable, Hashable {
        let address: ThrottleKey
        let account: ThrottleKey
        let pair: ThrottleKey
        /// The account's own clients do not stand in the account's line: who fails on purpose locks nobody out.
        let isKnown: Bool

        var lines: [ThrottleKey] { isKnown ? [address] : [address, account] }
    }

    package enum Admission: Sendable, Equatable {
        case admitted(Attempt, after: Duration)
        /// Too many stand in line before it.
        case refused
    }

    package enum Outcome: Sendable, Equatable {
        case right
        case wrong
        /// Nobody learned whether it was right.
        case unknown
    }

    private struct Line {
        var failures = 0
        var lastFailure = Duration.zero
        /// Whoever comes next is looked at no sooner.
        var next: Duration
    }

    /// Beyond it a failure changes nothing: the distance is at its bound, and forgiveness must stay within reach.
    private static let failuresMax = 10

    private let settings: Settings
    private var lines: TwoGenerations<ThrottleKey, Line>
    private var known: TwoGenerations<ThrottleKey, Duration>
    private var underWay: [ThrottleKey: Int] = [:]

    package init(settings: Settings = Settings()) {
        self.settings = settings
        lines = TwoGenerations(entriesMax: settings.entriesMax)
        known = TwoGenerations(entriesMax: settings.entriesMax)
    }

    package var entryCount: Int { max(lines.count, known.count) }

    /// Gives a log-in its place; without failures before it, and that is nearly always, it waits for nothing.
    ///
    /// - Parameters:
    ///   - address: the client's IP address as text. An IPv6 client is known by its /64, because it owns all of it.
    ///   - account: the account's canonical name, however the client wrote it.
    package mutating func begin(address: String, account: String, now: Duration) -> Admission {
        let attempt = attempt(address: address, account: account, now: now)
        let turn = attempt.lines.map { max(now, lines[$0]?.next ?? now) }.max() ?? now
        guard turn - now <= settings.delayMax else { return .refused }
        for key in attempt.lines {
            underWay[key, default: 0] += 1
            let distance = distance(after: failures(of: key, now: now) + unansweredGuesses(of: key))
            if distance > .zero { hold(key, until: turn + distance) }
        }
        return .admitted(attempt, after: turn - now)
    }

    /// The same for a log-in that waits for nothing: nil, and nothing is changed, if it would have to.
    package mutating func beginAtOnce(address: String, account: String, now: Duration) -> Attempt? {
        let standing = attempt(address: address, account: account, now: now).lines
        guard standing.allSatisfy({ lines[$0].map { $0.next <= now } ?? true }),
            case .admitted(let attempt, _) = begin(address: address, account: account, now: now)
        else { return nil }
        return attempt
    }

    /// Notes what became of a log-in. One that was right from where nobody had logged in lately lets the account start
    /// afresh; the address never does, or an attacker would clear it by logging in to an account of his own.
    package mutating func end(_ attempt: Attempt, _ outcome: Outcome, now: Duration) {
        for key in attempt.lines { leave(key) }
        switch outcome {
        case .unknown: break
        case .wrong:
            for key in [attempt.address, attempt.account] { noteFailure(of: key, now: now) }
        case .right:
            if !attempt.isKnown { lines.forget(attempt.account) }
            known.remember(now, for: attempt.pair)
        }
    }

    private func attempt(address: String, account: String, now: Duration) -> Attempt {
        let key = ThrottleKey(address: address)
        let pair = ThrottleKey(account: account, network: key)
        let isKnown = known[pair].map { now - $0 < settings.knownFor } ?? false
        return Attempt(address: key, account: ThrottleKey(account: account), pair: pair, isKnown: isKnown)
    }

    private func unansweredGuesses(of key: ThrottleKey) -> Int {
        let free = key.isAccount ? settings.parallelPerAccount : settings.parallelPerAddress
        return max(0, (underWay[key] ?? 0) - free)
    }

    private mutating func leave(_ key: ThrottleKey) {
        guard let count = underWay[key] else { return }
        underWay[key] = count > 1 ? count - 1 : nil
    }

    private mutating func noteFailure(of key: ThrottleKey, now: Duration) {
        let failures = min(failures(of: key, now: now) + 1, Self.failuresMax)
        let next = max(lines[key]?.next ?? now, now + distance(after: failures))
        lines.remember(Line(failures: failures, lastFailure: now, next: next), for: key)
    }

    private mutating func hold(_ key: ThrottleKey, until next: Duration) {
        var line = lines[key] ?? Line(next: next)
        line.next = max(line.next, next)
        lines.remember(line, for: key)
    }

    private func failures(of key: ThrottleKey, now: Duration) -> Int {
        guard let line = lines[key] else { return 0 }
        let forgotten = now > line.lastFailure ? (now - line.lastFailure) / settings.forgetting : 0
        return max(0, line.failures - Int(min(forgotten, Double(Self.failuresMax))))
    }

    private func distance(after failures: Int) -> Duration {
        let doublings = min(failures, Self.failuresMax) - 1
        return failures == 0 ? .zero : min(settings.delayMax, settings.delayFirst * (1 << doublings))
    }
}
