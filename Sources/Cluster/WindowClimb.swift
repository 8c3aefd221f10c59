/// Looks for the window from which on more in flight brings no more throughput, by trying others and measuring.
///
/// At first the window doubles while that pays. Then it stays, and now and then a larger or a smaller one is tried for a
/// while: the larger one is kept if it is faster (and doubled if that much faster), the smaller one if it is as fast. A peer that commits what arrives
/// together needs three in flight to be faster than with one, so small windows grow by that much.
struct WindowClimb: Sendable {
    private enum Stage {
        /// Doubling; the rate of the last window.
        case start(last: Double?, misses: Int)
        /// Measured rounds since the last trial.
        case steady(rounds: Int)
        case trial(of: Trial, from: Int, rate: Double)
    }

    private enum Trial {
        case larger, smaller
    }

    /// A measurement that is under way: whole round trips, from the instant of an answer to the instant of a later one.
    private struct Measurement {
        var begin: Duration
        /// The last instant at which answers came.
        var last: Duration
        /// Answers to messages sent from here on end the round trip.
        var until: UInt64
        var roundTrips = 0
        var answers = 0
        var work = 0.0
        var wasFull = false
    }

    private(set) var window: Int
    private let max: Int
    private var stage = Stage.start(last: nil, misses: 0)
    private var nextTrial = Trial.larger
    /// Messages sent before are not measured: the window was another one.
    private var mark: UInt64 = 0
    private var measurement: Measurement?

    private static let first = 4
    private static let startGain = 1.1
    private static let largerGain = 1.05
    private static let smallerGain = 0.98
    private static let roundsBetweenTrials = 4

    init(max: Int) {
        self.max = max
        window = min(Self.first, max)
    }

    /// As many are in flight as may be.
    mutating func filled() { measurement?.wasFull = true }

    /// The peer is overloaded: half the window, once for all that was sent before.
    mutating func congested(order: UInt64, nextOrder: UInt64) {
        guard order >= mark else { return }
        stage = .steady(rounds: 0)
        nextTrial = .larger
        change(to: window / 2, nextOrder)
    }

    mutating func answered(order: UInt64, nextOrder: UInt64, work: Int, now: Duration) {
        guard order >= mark else { return }
        guard var current = measurement else {
            measurement = Measurement(begin: now, last: now, until: nextOrder)
            return
        }
        if now > current.last, current.last > current.begin, isEnough(current) {
            return finish(current, order: order, nextOrder: nextOrder, work: work, now: now)
        }
        // What comes at the first instant was at work before it.
        guard now > current.begin else { return }
        current.last = now
        current.answers += 1
        current.work += Double(work)
        if order >= current.until {
            current.roundTrips += 1
            current.until = nextOrder
        }
        measurement = current
    }

    private func isEnough(_ measured: Measurement) -> Bool {
        guard case .start = stage else {
            return measured.roundTrips >= 4 && measured.answers >= 2 * window
        }
        return measured.roundTrips >= 2 && measured.answers >= window
    }

    /// Judges a measurement, and begins the next with the answer that ended it.
    private mutating func finish(_ done: Measurement, order: UInt64, nextOrder: UInt64, work: Int, now: Duration) {
        measurement = Measurement(begin: done.last, last: now, until: nextOrder, answers: 1, work: Double(work))
        // A window that was not full says nothing.
        guard done.wasFull else { return }
        judge(done.work / seconds(done.last - done.begin), nextOrder)
    }

    private mutating func judge(_ rate: Double, _ nextOrder: UInt64) {
        switch stage {
        case .start(let last, let misses):
            let misses = last.map { rate >= $0 * Self.startGain } ?? true ? 0 : misses + 1
            guard misses < 2, window < max else {
                stage = .steady(rounds: 0)
                return
            }
            stage = .start(last: Swift.max(rate, last ?? 0), misses: misses)
            change(to: window * 2, nextOrder)
        case .steady(let rounds) where rounds < Self.roundsBetweenTrials:
            stage = .steady(rounds: rounds + 1)
        case .steady:
            attempt(nextTrial, rate, nextOrder)
        case .trial(.larger, let from, let before):
            nextTrial = .smaller
            if rate >= before * Self.proportionalGain(from: from, to: window) {
                stage = .start(last: rate, misses: 1)
                return change(to: window * 2, nextOrder)
            }
            if rate >= before * Self.largerGain { return attempt(.larger, rate, nextOrder) }
            stage = .steady(rounds: 0)
            change(to: from, nextOrder)
        case .trial(.smaller, let from, let before):
            nextTrial = .larger
            stage = .steady(rounds: 0)
            if rate < before * Self.smallerGain { change(to: from, nextOrder) }
        }
    }

    /// What tells that the window alone is what holds throughput back: it is doubled again then.
    private static func proportionalGain(from: Int, to: Int) -> Double {
        1 + 0.8 * (Double(to) / Double(from) - 1)
    }

    private mutating func attempt(_ trial: Trial, _ rate: Double, _ nextOrder: UInt64) {
        let other = trial == .larger ? window + Swift.max(3, window / 4) : window - Swift.max(1, window / 5)
        guard (1...max).contains(other) || (trial == .larger && window < max) else {
            stage = .steady(rounds: 0)
            nextTrial = trial == .larger ? .smaller : .larger
            return
        }
        stage = .trial(of: trial, from: window, rate: rate)
        change(to: other, nextOrder)
    }

    private mutating func change(to wanted: Int, _ nextOrder: UInt64) {
        window = Swift.min(Swift.max(1, wanted), max)
        mark = nextOrder
        measurement = nil
    }

    private func seconds(_ time: Duration) -> Double {
        let (seconds, attoseconds) = time.components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
