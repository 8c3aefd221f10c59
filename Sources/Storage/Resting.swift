import Cluster

/// Rests between two readings as long as the pace wants.
struct Resting: Sendable {
    private var pace: ReadingPace
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant

    /// Shorter rests are put together.
    private static let restMin = Duration.milliseconds(20)

    init(rate: Int) {
        pace = ReadingPace(rate: rate)
        start = clock.now
    }

    mutating func rest(after bytes: Int) async {
        let debt = pace.debt(after: bytes, now: start.duration(to: clock.now))
        if debt >= Self.restMin { try? await Task.sleep(for: debt) }
    }
}
