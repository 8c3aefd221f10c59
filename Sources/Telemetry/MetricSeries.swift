import CoreMetrics
import Synchronization

/// One time series: what swift-metrics counts in, and what a scrape reads.
protocol MetricSeries: AnyObject, Sendable {
    func render(name: String, labels: String, into text: inout PrometheusText)
}

/// A count that only rises (until it is reset).
final class CounterSeries: CounterHandler, MetricSeries {
    private let count = Atomic<Int64>(0)

    func increment(by amount: Int64) {
        // A falling counter looks like a restart to Prometheus.
        guard amount > 0 else { return }
        count.wrappingAdd(amount, ordering: .relaxed)
    }

    func reset() { count.store(0, ordering: .relaxed) }

    func render(name: String, labels: String, into text: inout PrometheusText) {
        text.sample(name, labels: labels, value: "\(count.load(ordering: .relaxed))")
    }
}

/// A sum of fractions that only rises (until it is reset).
final class FloatingPointCounterSeries: FloatingPointCounterHandler, MetricSeries {
    private let sum = AtomicDouble()

    func increment(by amount: Double) {
        guard amount > 0 else { return }
        sum.add(amount)
    }

    func reset() { sum.store(0) }

    func render(name: String, labels: String, into text: inout PrometheusText) {
        text.sample(name, labels: labels, value: PrometheusText.number(sum.load()))
    }
}

/// A figure that goes up and down; the last value set is what a scrape sees.
final class GaugeSeries: MeterHandler, RecorderHandler, MetricSeries {
    private let value = AtomicDouble()

    func set(_ value: Int64) { self.value.store(Double(value)) }
    func set(_ value: Double) { self.value.store(value) }
    func increment(by amount: Double) { value.add(amount) }
    func decrement(by amount: Double) { value.add(-amount) }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }

    func render(name: String, labels: String, into text: inout PrometheusText) {
        text.sample(name, labels: labels, value: PrometheusText.number(value.load()))
    }
}

/// A floating-point number that several threads change, as its bit pattern in one atomic word.
struct AtomicDouble: ~Copyable, Sendable {
    private let bits = Atomic<UInt64>(0)

    func load() -> Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func store(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (exchanged, current) = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if exchanged { return }
            old = current
        }
    }
}
