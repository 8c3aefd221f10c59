/// How often which latency was seen, in buckets that are 1/32 of their value wide (as HdrHistogram has them).
package struct LatencyHistogram: Sendable, Equatable {
    /// A power of two is cut into this many buckets.
    private static let bucketsPerPowerOfTwo: UInt64 = 32
    private static let shift = bucketsPerPowerOfTwo.trailingZeroBitCount

    private var counts: [UInt32] = Array(repeating: 0, count: 64 * 32)
    package private(set) var count = 0
    package private(set) var maximum: Duration = .zero

    package init() {}

    package mutating func record(_ latency: Duration) {
        let nanoseconds = latency.wholeNanoseconds
        counts[Self.bucket(of: nanoseconds)] &+= 1
        count += 1
        maximum = max(maximum, latency)
    }

    package mutating func merge(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] &+= other.counts[index] }
        count += other.count
        maximum = max(maximum, other.maximum)
    }

    /// The latency that this share of all stayed below, at most 1/32 too high; zero if nothing was seen.
    package func quantile(_ share: Double) -> Duration {
        var left = Int((Double(count) * share).rounded(.up))
        for (bucket, seen) in counts.enumerated() where seen > 0 {
            left -= Int(seen)
            if left <= 0 { return min(.nanoseconds(Int64(clamping: Self.upperEdge(of: bucket))), maximum) }
        }
        return maximum
    }

    /// Below 64 a bucket per nanosecond; above, the five bits behind the highest one choose among 32.
    private static func bucket(of value: UInt64) -> Int {
        let power = 63 - (value | 1).leadingZeroBitCount
        guard power > shift else { return Int(value) }
        let steps = power - shift
        return steps * Int(bucketsPerPowerOfTwo) + Int(value >> UInt64(steps))
    }

    private static func upperEdge(of bucket: Int) -> UInt64 {
        let bucket = UInt64(bucket)
        guard bucket >= 2 * bucketsPerPowerOfTwo else { return bucket }
        let steps = bucket / bucketsPerPowerOfTwo - 1
        return ((bucket - steps * bucketsPerPowerOfTwo + 1) << steps) &- 1
    }
}

extension Duration {
    /// Negative ones count as zero; what passes 584 years as 584 years.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000).partialValue
            &+ UInt64(attoseconds / 1_000_000_000)
    }
}
