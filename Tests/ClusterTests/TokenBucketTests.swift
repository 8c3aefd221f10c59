import Cluster
import Testing

@Suite("Sending rate")
struct TokenBucketTests {
    /// How many of endlessly many messages leave until then.
    private func count(_ rate: inout SendingRate, bytes: Int, until end: Duration) -> Int {
        var (now, count) = (Duration.zero, 0)
        while now <= end {
            if let wait = rate.admit(bytes: bytes, now: now) { now += wait } else { count += 1 }
        }
        return count
    }

    @Test("On average so many messages a second leave, after a burst")
    func messages() {
        var rate = SendingRate(messagesPerSecond: 10, burst: 2)
        #expect((1019...1021).contains(count(&rate, bytes: 1 << 20, until: .seconds(100))))
        var slow = SendingRate(messagesPerSecond: 0.1)
        #expect((10...12).contains(count(&slow, bytes: 0, until: .seconds(100))))
    }

    @Test("On average so many octets a second leave, also in messages that are larger than a burst")
    func bytes() {
        for size in [100, 5000, 70_000] {
            var rate = SendingRate(bytesPerSecond: 10_000, burst: 1)
            let octets = count(&rate, bytes: size, until: .seconds(100)) * size
            #expect((990_000...(1_011_000 + size)).contains(octets), "\(size): \(octets)")
        }
    }

    @Test("Both bounds hold at once, and what was not let through costs nothing")
    func both() {
        var rate = SendingRate(messagesPerSecond: 10, bytesPerSecond: 1000)
        #expect((99...112).contains(count(&rate, bytes: 100, until: .seconds(10))))
        var tight = SendingRate(messagesPerSecond: 1, bytesPerSecond: 1_000_000)
        #expect(tight.admit(bytes: 10, now: .zero) == nil)
        for _ in 0..<100 { #expect(tight.admit(bytes: 10, now: .zero) != nil) }
        #expect(tight.admit(bytes: 1_000_000, now: .seconds(1)) == nil)
    }

    @Test("A pause saves up a burst and no more; without a bound nothing waits; a clock that goes back gives nothing")
    func edges() {
        var rate = SendingRate(messagesPerSecond: 5, burst: 1)
        _ = count(&rate, bytes: 0, until: .seconds(1))
        let burst = (0..<100).count { _ in rate.admit(bytes: 0, now: .seconds(1_000_000)) == nil }
        #expect(burst == 5)
        #expect(rate.admit(bytes: 0, now: .seconds(-1_000_000)) != nil)
        #expect(rate.admit(bytes: 0, now: .seconds(1_000_000)) != nil)
        var free = SendingRate()
        #expect((0..<1000).allSatisfy { _ in free.admit(bytes: .max, now: .zero) == nil })
        var tiny = TokenBucket(rate: 1e-300, burst: 0)
        tiny.take(1e300, now: .zero)
        #expect(tiny.wait(for: 1, now: .zero) == .seconds(365 * 86_400))
    }
}
