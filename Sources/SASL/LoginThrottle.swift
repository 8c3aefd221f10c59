/// How long the next log-in of an address or an account has to wait after failures: one second, two, four, up to a
/// bound, and less again as time goes by.
///
/// It remembers a bounded number of addresses and accounts, and forgets the longest untouched ones first. Times are
/// durations since any fixed moment, by a clock that does not jump.
package struct LoginThrottle: Sendable {
    package struct Settings: Sendable, Equatable {
        /// What the first failure costs; each further one doubles it.
        package var delayFirst: Duration
        package var delayMax: Duration
        /// One failure is forgotten whenever this passes without another.
        package var forgetting: Duration
        /// How many addresses and accounts are remembered in all.
        package var entriesMax: Int

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

    private struct Failures {
        var count: Int
        var last: Duration
    }

    /// Beyond it a failure changes nothing: the delay is at its bound, and forgiveness must stay within reach.
    private static let countMax = 10

    private let settings: Settings
    // Two generations: when the young one is full it becomes the old one, and what was old is forgotten. So the bound
    // holds at constant cost, and an attacker who floods the table keeps his own address young.
    private var young: [ThrottleKey: Failures] = [:]
    private var old: [ThrottleKey: Failures] = [:]

    package init(settings: Settings = Settings()) {
        self.settings = settings
    }

    package var entryCount: Int { young.count + old.count }

    /// How long to wait before this log-in is looked at; zero for nearly everybody.
    ///
    /// - Parameters:
    ///   - address: the client's IP address as text. An IPv6 client is known by its /64, because it owns all of it.
    ///   - account: the user name as the client gave it; upper and lower case are one.
    package func delay(address: String, account: String, now: Duration) -> Duration {
        keys(address, account).map { delay(after: failures(of: $0, now: now)) }.max() ?? .zero
    }

    /// Notes a failed log-in, and says how long the refusal should be held back.
    package mutating func failed(address: String, account: String, now: Duration) -> Duration {
        for key in keys(address, account) {
            let count = min(failures(of: key, now: now) + 1, Self.countMax)
            remember(key, Failures(count: count, last: now))
        }
        return delay(address: address, account: account, now: now)
    }

    /// Notes a log-in that worked: the account starts afresh. The address does not, or an attacker would clear it by
    /// logging in to an account of his own.
    package mutating func succeeded(account: String) {
        let key = ThrottleKey(account: account)
        young[key] = nil
        old[key] = nil
    }

    private func keys(_ address: String, _ account: String) -> [ThrottleKey] {
        [ThrottleKey(address: address), ThrottleKey(account: account)]
    }

    private func failures(of key: ThrottleKey, now: Duration) -> Int {
        guard let failures = young[key] ?? old[key] else { return 0 }
        let forgotten = now > failures.last ? (now - failures.last) / settings.forgetting : 0
        return max(0, failures.count - Int(min(forgotten, Double(Self.countMax))))
    }

    private func delay(after failures: Int) -> Duration {
        failures == 0 ? .zero : min(settings.delayMax, settings.delayFirst * (1 << (failures - 1)))
    }

    private mutating func remember(_ key: ThrottleKey, _ failures: Failures) {
        old[key] = nil
        if young[key] == nil, young.count >= max(1, settings.entriesMax / 2) {
            old = young
            young = [:]
        }
        young[key] = failures
    }
}
