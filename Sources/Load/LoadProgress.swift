/// One line that tells how far a run is: a bar if its end is known, the rate, what is done, errors, the time left.
package struct LoadProgress: Sendable {
    private static let barWidth = 24

    private let count: Int?
    private let duration: Duration?
    private let unit: String
    private var last: (done: Int, time: Double) = (0, 0)
    private var rate = 0.0

    package init(count: Int?, duration: Duration?, unit: String) {
        self.count = count
        self.duration = duration
        self.unit = unit
    }

    /// - Parameter seconds: since the run began.
    package mutating func line(_ state: LoadTally.State, seconds: Double) -> String {
        if seconds > last.time {
            let now = Double(state.done - last.done) / (seconds - last.time)
            rate = rate == 0 ? now : 0.7 * rate + 0.3 * now
            last = (state.done, seconds)
        }
        var parts = ["\(state.done) \(unit)", "\(Int(rate))/s"]
        if state.failed > 0 { parts.append("\(state.failed) errors") }
        let share = share(state, seconds)
        if let left = secondsLeft(state, seconds) { parts.append("\(left) s left") }
        return (share.map { bar($0) + " " } ?? "") + parts.joined(separator: ", ")
    }

    private func share(_ state: LoadTally.State, _ seconds: Double) -> Double? {
        let shares = [
            count.map { Double(state.done) / Double(max(1, $0)) }, duration.map { seconds / max(0.001, $0.inSeconds) },
        ].compactMap { $0 }
        return shares.max().map { min(1, $0) }
    }

    private func secondsLeft(_ state: LoadTally.State, _ seconds: Double) -> Int? {
        var bounds: [Double] = []
        if let count, rate > 0 { bounds.append(Double(count - state.done) / rate) }
        if let duration { bounds.append(duration.inSeconds - seconds) }
        return bounds.min().map { Int(max(0, min($0, 1e9)).rounded(.up)) }
    }

    private func bar(_ share: Double) -> String {
        let full = Int(share * Double(Self.barWidth))
        return "[" + String(repeating: "#", count: full) + String(repeating: ".", count: Self.barWidth - full) + "]"
    }
}

extension Duration {
    fileprivate var inSeconds: Double { Double(wholeNanoseconds) / 1_000_000_000 }
}
