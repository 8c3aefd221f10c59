package import CoreMetrics
import Synchronization

/// All metrics of this process: the factory behind swift-metrics, and their text for Prometheus (format 0.0.4).
///
/// Counting is one atomic operation on a series that the caller keeps; the lock guards making, removing and rendering
/// series only. The number of series is bounded: one more gets a handler that counts for nobody, and
/// `telemetry_series_refused_total` says how often that happened.
package final class PrometheusRegistry: MetricsFactory {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private struct State {
        var families: [String: MetricFamily] = [:]
        var help = MetricHelp.texts
        var seriesCount = 0
        var refused = 0
    }

    private let state = Mutex(State())
    private let prefix: String
    private let seriesMax: Int

    /// - Parameters:
    ///   - prefix: stands before each metric's name, such as `hauberk_`.
    ///   - seriesMax: how many series (a metric with one set of label values) are kept.
    package init(prefix: String = "hauberk_", seriesMax: Int = 4096) {
        self.prefix = prefix
        self.seriesMax = seriesMax
    }

    /// Says what a metric means, for its HELP line. `label` is the one that the metric is made with.
    package func describe(_ label: String, _ help: String) {
        state.withLock { $0.help[PrometheusText.metricName(label)] = help }
    }

    // MARK: MetricsFactory

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(.counter, label, suffix: "_total", dimensions) { CounterSeries() }
    }

    package func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(.counter, label, suffix: "_total", dimensions) { FloatingPointCounterSeries() }
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions)
    }

    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else { return gauge(label, dimensions) }
        return series(.histogram, label, suffix: "", dimensions) { ValueHistogramSeries() }
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(.histogram, label, suffix: "_seconds", dimensions) { TimerHistogramSeries() }
    }

    package func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    package func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    package func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    package func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

    // MARK: text

    /// Every series now, families and series in a fixed order, and the process's own figures.
    package func render() -> String {
        let (families, refused) = state.withLock { ($0.families, $0.refused) }
        var text = PrometheusText()
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text.family(name, kind: family.kind, help: family.help)
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.render(name: name, labels: labels, into: &text)
            }
        }
        let refusedName = "\(prefix)telemetry_series_refused_total"
        text.family(refusedName, kind: .counter, help: "Series that were not kept, because there were too many")
        text.sample(refusedName, labels: "", value: "\(refused)")
        ProcessFigures.now().render(into: &text)
        return text.text
    }

    // MARK: series

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeSeries {
        series(.gauge, label, suffix: "", dimensions) { GaugeSeries() }
    }

    /// The series of that name and those label values, made at its first mention.
    private func series<Series: MetricSeries>(
        _ kind: MetricKind, _ label: String, suffix: String, _ dimensions: [(String, String)], make: () -> Series
    ) -> Series {
        let plain = PrometheusText.metricName(label)
        let name = PrometheusText.metricName(prefix + (plain.hasSuffix(suffix) ? plain : plain + suffix))
        let labels = PrometheusText.labels(dimensions)
        return state.withLock { state in
            var family =
                state.families[name] ?? MetricFamily(kind: kind, help: state.help[plain] ?? label)
            if let known = family.series[labels] as? Series { return known }
            let series = make()
            guard family.kind == kind, family.series[labels] == nil, state.seriesCount < seriesMax else {
                state.refused += 1
                return series
            }
            family.series[labels] = series
            state.families[name] = family
            state.seriesCount += 1
            return series
        }
    }

    private func remove(_ handler: AnyObject) {
        state.withLock { state in
            for (name, family) in state.families {
                guard let labels = family.series.first(where: { $0.value === handler })?.key else { continue }
                state.families[name]?.series[labels] = nil
                if family.series.count == 1 { state.families[name] = nil }
                state.seriesCount -= 1
                return
            }
        }
    }
}

/// What a TYPE line can say.
enum MetricKind: String {
    case counter, gauge, histogram
}

/// The series that share a metric's name, by their rendered labels.
struct MetricFamily {
    let kind: MetricKind
    let help: String
    var series: [String: any MetricSeries] = [:]
}
