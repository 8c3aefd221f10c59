import Cluster
import Mail
import Testing

@Suite("Flight window")
struct FlightWindowTests {
    private static let peers = [
        SimulatedLink(), SimulatedLink(bandwidth: 2e6), SimulatedLink(messageTime: 0.001, commitTime: 0.001),
        SimulatedLink(messageTime: 0.0003, commitTime: 0.02),
        SimulatedLink(messageTime: 0, commitTime: 0.01, sizes: [20_000]),
        SimulatedLink(bandwidth: 20e6, messageTime: 0.0002, commitTime: 0.004, sizes: [1000, 1000, 1000, 60_000]),
        SimulatedLink(jitter: 0.5), SimulatedLink(jitter: 0.5, seed: 2),
        SimulatedLink(messageTime: 0.002, commitTime: 0.002, jitter: 1),
        SimulatedLink(messageTime: 0.002, commitTime: 0.002, jitter: 1, seed: 2),
    ]
    private let busy = Verdict.deferred(Reason(451, "4.3.2", "not now"))
    private let full = Verdict.deferred(Reason(452, "4.2.2", "mailbox full"))

    @Test("Over 50 ms each way a link carries at least 80 % of what it carries without delay", arguments: peers.indices)
    func delay(_ index: Int) {
        var link = Self.peers[index]
        var near = FlightWindow()
        let without = link.run(&near, duration: 12)
        link.delay = 0.05
        var far = FlightWindow()
        let with = link.run(&far, duration: 40)
        #expect(with.rate >= 0.8 * without.rate, "\(with) \(without)")
        var narrow = FlightWindow(transactionsMax: 4)
        let fixed = link.run(&narrow, duration: 12)
        #expect(fixed.rate < 0.1 * with.rate)
        #expect(with.inFlightMax <= 512 && fixed.inFlightMax <= 4)
    }

    @Test("Without delay the window comes down to what the peer needs, so that answers do not wait in a queue")
    func queue() {
        for link in Self.peers.prefix(3) {
            var window = FlightWindow()
            let result = link.run(&window, duration: 60)
            // The peer's next commit at most begins when this one ends.
            let alone = 4096 / link.bandwidth + link.messageTime + 2 * link.commitTime
            #expect(result.window <= 40 && result.answerTime < 2 * alone, "\(result)")
        }
    }

    @Test("Octets in flight are bounded, but a message that is larger than the bound goes alone")
    func bytes() {
        var window = FlightWindow(bytesMax: 1 << 20)
        let link = SimulatedLink(delay: 0.05, sizes: [300_000, 5000])
        let result = link.run(&window, duration: 20)
        #expect(result.bytesInFlightMax <= 1 << 20 && result.bytesInFlightMax > 900_000)
        var other = FlightWindow(bytesMax: 1000)
        #expect(other.admits(bytes: 5000) && other.admits(bytes: .max))
        other.sent(1, bytes: 5000)
        #expect(!other.admits(bytes: 0) && other.bytesInFlight == 5000)
        other.answered(1, [.accepted], now: .zero)
        other.sent(2, bytes: 400)
        #expect(other.admits(bytes: 600) && !other.admits(bytes: 601))
        other.sent(3, bytes: .max)
        other.sent(4, bytes: .min)
        for id in 2...4 as ClosedRange<UInt64> { other.lost(id) }
        #expect(other.bytesInFlight == 0 && other.inFlight == 0)
    }

    /// A window with as much in flight as it takes.
    private func filled(_ window: inout FlightWindow, from first: UInt64 = 0) -> Range<UInt64> {
        var next = first
        while window.room > 0 {
            window.sent(next, bytes: 1)
            next += 1
        }
        return first..<next
    }

    @Test(
        "What the peer puts off for its own sake halves the window, once for all that was in flight, and never to none")
    func congestion() {
        var window = FlightWindow()
        #expect(window.size == 4)
        for id in filled(&window) { window.answered(id, [busy], now: .zero) }
        #expect(window.size == 2)
        for id in filled(&window, from: 10) { window.lost(id) }
        #expect(window.size == 1)
        for id in filled(&window, from: 20) { window.answered(id, [.accepted, busy], now: .zero) }
        #expect(window.size == 1 && window.room == 1)
    }

    @Test("A full mailbox and a refusal say nothing about the peer")
    func others() {
        var window = FlightWindow()
        for id in filled(&window) {
            window.answered(id, [full, .refused(Reason(554, "5.3.4", "too big"))], now: .zero)
        }
        #expect(window.size == 4)
    }

    @Test("After a time of trouble the window grows back")
    func recovery() {
        var window = FlightWindow()
        let link = SimulatedLink(delay: 0.05)
        let result = link.run(&window, duration: 40) { _, now in now < 5 ? busy : .accepted }
        #expect(result.rate > 0.8 * 2000, "\(result)")
    }

    @Test("A peer that takes so many at once is not asked for many more")
    func limited() {
        var window = FlightWindow()
        var (next, largest, now) = (UInt64(0), 0, Duration.zero)
        for round in 0..<2000 {
            let ids = filled(&window, from: next)
            next = ids.upperBound
            if round > 100 { largest = max(largest, ids.count) }
            now += .milliseconds(10)
            for (place, id) in ids.enumerated() {
                window.answered(id, [place < 20 ? .accepted : busy], now: now)
            }
        }
        #expect((10...40).contains(largest))
    }

    @Test("A window that is not full does not grow")
    func idle() {
        var window = FlightWindow()
        for id in 0..<1000 as Range<UInt64> {
            window.sent(id, bytes: 1)
            window.answered(id, [.accepted], now: .milliseconds(Int64(id) + 1))
        }
        #expect(window.size == 4)
    }

    @Test("Unknown and repeated transactions, and clocks that stand or go back, do no harm")
    func odd() {
        var window = FlightWindow(transactionsMax: 0, bytesMax: -1)
        #expect(window.room == 1)
        window.answered(7, [busy], now: .zero)
        window.lost(7)
        window.sent(1, bytes: 10)
        window.sent(1, bytes: 20)
        #expect(window.inFlight == 1 && window.bytesInFlight == 20 && window.room == 0)
        var other = FlightWindow()
        for id in 0..<500 as Range<UInt64> {
            while other.room > 0 { other.sent(id &* 1000 &+ UInt64(other.inFlight), bytes: 1) }
            for place in 0..<600 as Range<UInt64> {
                other.answered(id &* 1000 &+ place, [.accepted], now: .seconds(id % 2 == 0 ? 5 : -5))
            }
        }
        #expect((1...512).contains(other.size) && other.inFlight == 0)
    }
}
