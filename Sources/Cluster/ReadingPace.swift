/// Spreads reading or carrying over time, so that on average it takes no more than so many bytes a second.
package struct ReadingPace: Sendable {
    /// Bytes a second; 0 is no limit.
    private let rate: Int
    /// When all that was read so far is paid for.
    private var paid = Duration.zero

    /// - Parameter rate: bytes a second; 0 is no limit.
    package init(rate: Int) { self.rate = rate }

    /// How long to rest now that so many bytes were read. Time in which nothing was read is not saved up.
    ///
    /// - Parameter now: time since some beginning.
    package mutating func debt(after bytes: Int, now: Duration) -> Duration {
        guard rate > 0 else { return .zero }
        paid = max(paid, now) + .seconds(Double(bytes) / Double(rate))
        return paid - now
    }
}
