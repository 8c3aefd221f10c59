/// Lets through so much a second on average, and a burst at once after a pause.
package struct TokenBucket: Sendable, Equatable {
    /// A second; 0 is no limit.
    private let rate: Double
    private let burst: Double
    private var tokens: Double
    private var last: Duration?

    /// - Parameters:
    ///   - rate: a second; 0 is no limit.
    ///   - burst: what may pass at once after a pause; at least 1.
    package init(rate: Double, burst: Double) {
        self.rate = max(0, rate)
        self.burst = max(1, burst)
        tokens = self.burst
    }

    /// How long `amount` has to wait; zero if it may pass now. More than a burst may pass when the bucket is full, and
    /// what follows pays for it.
    package mutating func wait(for amount: Double, now: Duration) -> Duration {
        guard rate > 0 else { return .zero }
        refill(now)
        let missing = min(max(0, amount), burst) - tokens
        // A year is as good as never, and a Duration can hold it.
        return missing <= 0 ? .zero : .seconds(min(missing / rate, 365 * 86_400))
    }

    /// Takes what passes. Only what `wait(for:now:)` let pass should be taken; anything else is paid for later.
    package mutating func take(_ amount: Double, now: Duration) {
        guard rate > 0 else { return }
        refill(now)
        tokens -= max(0, amount)
    }

    /// A clock that goes back gives nothing.
    private mutating func refill(_ now: Duration) {
        defer { last = max(last ?? now, now) }
        guard let last, now > last else { return }
        let (seconds, attoseconds) = (now - last).components
        tokens = min(burst, tokens + rate * (Double(seconds) + Double(attoseconds) * 1e-18))
    }
}

/// How fast messages may leave on a link: so many a second, and so many octets a second.
package struct SendingRate: Sendable, Equatable {
    private var messages: TokenBucket
    private var bytes: TokenBucket

    /// - Parameters:
    ///   - messagesPerSecond, bytesPerSecond: 0 is no limit.
    ///   - burst: how many seconds' worth may leave at once after a pause.
    package init(messagesPerSecond: Double = 0, bytesPerSecond: Double = 0, burst: Double = 1) {
        messages = TokenBucket(rate: messagesPerSecond, burst: messagesPerSecond * max(0, burst))
        bytes = TokenBucket(rate: bytesPerSecond, burst: bytesPerSecond * max(0, burst))
    }

    /// Lets a message leave, or says how long it has to wait.
    ///
    /// - Returns: nil if it leaves now, which is counted; otherwise when to ask again.
    package mutating func admit(bytes count: Int, now: Duration) -> Duration? {
        let wait = max(messages.wait(for: 1, now: now), bytes.wait(for: Double(count), now: now))
        guard wait == .zero else { return wait }
        messages.take(1, now: now)
        bytes.take(Double(count), now: now)
        return nil
    }
}
