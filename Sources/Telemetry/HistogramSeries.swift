import CoreMetrics
import Synchronization

/// How many values fell under each of 24 fixed bounds, and above all of them.
struct HistogramBuckets: ~Copyable, Sendable {
    static let boundCount = 24

    private let counts = InlineArray<25, Atomic<Int>> { _ in Atomic(0) }

    /// - Parameter bounds: `boundCount` numbers in rising order; a value equal to a bound is under it.
    func count(_ value: Int64, bounds: [Int64]) {
        var low = 0
        var high = Self.boundCount
        while low < high {
            let middle = (low + high) / 2
            if value <= bounds[middle] { high = middle } else { low = middle + 1 }
        }
        counts[low].wrappingAdd(1, ordering: .relaxed)
    }

    /// - Parameter bounds: the bounds as `le` shows them.
    func render(name: String, labels: String, bounds: [String], sum: String, into text: inout PrometheusText) {
        var total = 0
        for index in 0...Self.boundCount {
            total += counts[index].load(ordering: .relaxed)
            let bound = index < Self.boundCount ? bounds[index] : "+Inf"
            let separator = labels.isEmpty ? "" : ","
            text.sample("\(name)_bucket", labels: "\(labels)\(separator)le=\"\(bound)\"", value: "\(total)")
        }
        text.sample("\(name)_sum", labels: labels, value: sum)
        text.sample("\(name)_count", labels: labels, value: "\(total)")
    }
}

/// Durations: counted in nanoseconds, shown in seconds, bounds 1, 2.5 and 5 of each decade from 10 µs to 500 s.
final class TimerHistogramSeries: TimerHandler, MetricSeries {
    static let bounds: [Int64] = (0..<HistogramBuckets.boundCount).map { index in
        let steps: [Int64] = [10, 25, 50]
        return (0..<index / 3).reduce(steps[index % 3] * 1000) { bound, _ in bound * 10 }
    }
    private static let boundTexts = bounds.map { PrometheusText.number(Double($0) / 1e9) }

    private let buckets = HistogramBuckets()
    private let nanoseconds = Atomic<Int64>(0)

    func recordNanoseconds(_ duration: Int64) {
        let duration = max(0, duration)
        buckets.count(duration, bounds: Self.bounds)
        nanoseconds.wrappingAdd(duration, ordering: .relaxed)
    }

    func render(name: String, labels: String, into text: inout PrometheusText) {
        let sum = Double(nanoseconds.load(ordering: .relaxed)) / 1e9
        buckets.render(
            name: name, labels: labels, bounds: Self.boundTexts, sum: PrometheusText.number(sum), into: &text)
    }
}

/// Sizes and numbers of things: bounds are the powers of two from 1 to 2²³.
final class ValueHistogramSeries: RecorderHandler, MetricSeries {
    static let bounds: [Int64] = (0..<HistogramBuckets.boundCount).map { 1 << Int64($0) }
    private static let boundTexts = bounds.map { "\($0)" }

    private let buckets = HistogramBuckets()
    private let sum = AtomicDouble()

    func record(_ value: Int64) {
        buckets.count(value, bounds: Self.bounds)
        sum.add(Double(value))
    }

    func record(_ value: Double) {
        guard !value.isNaN else { return }
        buckets.count(Int64(exactly: value.rounded(.up)) ?? (value < 0 ? .min : .max), bounds: Self.bounds)
        sum.add(value)
    }

    func render(name: String, labels: String, into text: inout PrometheusText) {
        buckets.render(
            name: name, labels: labels, bounds: Self.boundTexts, sum: PrometheusText.number(sum.load()), into: &text)
    }
}
