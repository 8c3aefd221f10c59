import Testing

@testable import Load

@Suite("Latency histogram")
struct LatencyHistogramTests {
    @Test("Quantiles are never too low, and at most 1/32 too high", arguments: [1, 31, 32, 63, 64, 1000, 123_456_789])
    func accuracy(step: Int) {
        var histogram = LatencyHistogram()
        for number in 1...1000 { histogram.record(.nanoseconds(number * step)) }
        for share in [0.01, 0.5, 0.9, 0.99, 1] {
            let exact = Duration.nanoseconds(Int((share * 1000).rounded(.up)) * step)
            let told = histogram.quantile(share)
            #expect(told >= exact)
            #expect(told <= exact + exact / 32 + .nanoseconds(1))
        }
    }

    @Test("Any latency has a bucket, the longest and negative ones too")
    func extremes() {
        var histogram = LatencyHistogram()
        histogram.record(.seconds(-1))
        histogram.record(.nanoseconds(Int64.max))
        histogram.record(.seconds(Int64.max))
        #expect(histogram.count == 3)
        #expect(histogram.quantile(0.1) == .zero)
        #expect(histogram.maximum == .seconds(Int64.max))
    }

    @Test("Nothing seen: all zero")
    func empty() {
        #expect(LatencyHistogram().quantile(0.99) == .zero)
    }

    @Test("Two merged are as if one had seen all")
    func merge() {
        var (one, other, all) = (LatencyHistogram(), LatencyHistogram(), LatencyHistogram())
        for number in 1...100 {
            let latency = Duration.microseconds(number * number)
            all.record(latency)
            if number % 3 == 0 { one.record(latency) } else { other.record(latency) }
        }
        one.merge(other)
        #expect(one == all)
    }
}
