import CoreMetrics
import Foundation
import Testing

@testable import Telemetry

@Suite("Prometheus text")
struct PrometheusRegistryTests {
    private let registry = PrometheusRegistry(prefix: "t_", seriesMax: 8)

    private func lines(_ name: String) -> [String] {
        registry.render().split(separator: "\n").map(String.init).filter { $0.contains(name) }
    }

    @Test("A counter has HELP, TYPE and _total, and only rises")
    func counter() {
        registry.describe("mails", "Messages taken")
        let counter = Counter(label: "mails", dimensions: [("service", "mx")], factory: registry)
        counter.increment(by: 3)
        counter.increment(by: Int64(-2))
        #expect(
            lines("mails") == [
                "# HELP t_mails_total Messages taken", "# TYPE t_mails_total counter",
                #"t_mails_total{service="mx"} 3"#,
            ])
    }

    @Test("Every metric that the program makes has a description, and every description a metric")
    func descriptions() throws {
        let sources = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined() + "/Sources"
        let files = try #require(FileManager.default.enumerator(atPath: sources)).compactMap { $0 as? String }
        var labels: Set<String> = []
        for file in files where file.hasSuffix(".swift") {
            let text = try String(contentsOfFile: "\(sources)/\(file)", encoding: .utf8)
            for match in text.matches(of: #/(?:Counter|Timer|Gauge|Meter|Recorder)\(\s*label: "([^"]+)"/#) {
                labels.insert(String(match.1))
            }
        }
        #expect(labels.count > 10)
        #expect(labels.subtracting(MetricHelp.texts.keys).isEmpty)
        #expect(Set(MetricHelp.texts.keys).subtracting(labels).isEmpty)
        Timer(label: "commit_seconds", factory: registry).recordNanoseconds(1)
        #expect(lines("# HELP t_commit_seconds").first?.contains("durable") == true)
    }

    @Test("The same name and labels are the same series, whoever asks")
    func sameSeries() {
        Counter(label: "a_total", factory: registry).increment()
        Counter(label: "a.total", factory: registry).increment()
        #expect(lines("t_a_total").last == "t_a_total 2")
    }

    @Test("Label values are escaped: quotes, backslashes and line feeds")
    func escaping() {
        Counter(label: "c", dimensions: [("who", "a\"b\\c\nd")], factory: registry).increment()
        #expect(lines("t_c_total{") == [#"t_c_total{who="a\"b\\c\nd"} 1"#])
    }

    @Test("Names are made fit: odd characters, leading digits, the histogram's own label")
    func names() {
        #expect(PrometheusText.metricName("9 lives-é") == "_9_lives___")
        #expect(PrometheusText.metricName("") == "_")
        #expect(PrometheusText.labels([("le", "1"), ("a:b", "2"), ("a_b", "3")]) == #"exported_le="1",a_b="2""#)
    }

    @Test("A timer is a histogram in seconds with cumulative buckets")
    func timer() {
        let timer = Timer(label: "wait", factory: registry)
        timer.recordNanoseconds(10_000)
        timer.recordNanoseconds(10_001)
        timer.recordNanoseconds(3_600_000_000_000)
        let shown = lines("t_wait_seconds")
        #expect(shown.contains(#"t_wait_seconds_bucket{le="1e-05"} 1"#))
        #expect(shown.contains(#"t_wait_seconds_bucket{le="2.5e-05"} 2"#))
        #expect(shown.contains(#"t_wait_seconds_bucket{le="500"} 2"#))
        #expect(shown.contains(#"t_wait_seconds_bucket{le="+Inf"} 3"#))
        #expect(shown.contains("t_wait_seconds_count 3"))
        #expect(shown.contains("t_wait_seconds_sum 3600.000020001"))
        #expect(TimerHistogramSeries.bounds == TimerHistogramSeries.bounds.sorted())
    }

    @Test("A recorder is a histogram of values, whatever the value")
    func recorder() {
        let recorder = Recorder(label: "size", factory: registry)
        for value in [0.5, 2, 3, .infinity, -1e300, .nan] { recorder.record(value) }
        let shown = lines("t_size")
        #expect(shown.contains(#"t_size_bucket{le="1"} 2"#))
        #expect(shown.contains(#"t_size_bucket{le="2"} 3"#))
        #expect(shown.contains(#"t_size_bucket{le="+Inf"} 5"#))
    }

    @Test("Gauges and meters show the last value, also after concurrent steps")
    func gauges() async {
        Gauge(label: "depth", factory: registry).record(2.5)
        let meter = Meter(label: "open", factory: registry)
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 { meter.increment() }
                    for _ in 0..<999 { meter.decrement() }
                }
            }
        }
        #expect(lines("t_depth").last == "t_depth 2.5")
        #expect(lines("t_open").last == "t_open 8")
    }

    @Test("No more series than the bound are kept, and the rest is counted")
    func bound() {
        for index in 0..<20 {
            Counter(label: "many", dimensions: [("n", "\(index)")], factory: registry).increment()
        }
        #expect(lines("t_many_total{").count == 8)
        #expect(lines("refused").last == "t_telemetry_series_refused_total 12")
    }

    @Test("A name cannot be two kinds of metric")
    func kinds() {
        Counter(label: "x_total", factory: registry).increment()
        Gauge(label: "x_total", factory: registry).record(7)
        #expect(lines("x_total").last == "t_x_total 1")
    }

    @Test("A destroyed metric is gone, and makes room")
    func destroy() {
        let counter = Counter(label: "gone", factory: registry)
        counter.increment()
        counter.destroy()
        #expect(lines("gone").isEmpty)
    }

    @Test("Every line is a comment or a sample, and the process' own figures are there")
    func wellFormed() throws {
        Timer(label: "w", dimensions: [("a", "b")], factory: registry).recordNanoseconds(5)
        let sample = try Regex(#"^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? (NaN|[+-]Inf|[0-9.e+-]+)$"#)
        let text = registry.render()
        #expect(text.hasSuffix("\n"))
        for line in text.split(separator: "\n") where !line.hasPrefix("# ") {
            #expect(line.wholeMatch(of: sample) != nil, "\(line)")
        }
        #expect(lines("process_resident_memory_bytes").count == 3)
        #expect(lines("process_resident_memory_bytes").last != "process_resident_memory_bytes 0")
    }
}
