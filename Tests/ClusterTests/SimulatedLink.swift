import Cluster
import Mail
import SeededRandom

/// A link to a peer in simulated time: bytes leave one after the other, take their time on the way, and the peer makes
/// durable together what arrived while it was busy. All times in seconds.
struct SimulatedLink {
    var delay = 0.0
    /// Octets a second.
    var bandwidth = 100e6
    /// What the peer does for each message before it is ready to be made durable.
    var messageTime = 0.0005
    /// One commit, however many messages it has.
    var commitTime = 0.005
    var sizes = [4096]
    /// How much the peer's times vary, 0 to 1.
    var jitter = 0.0
    var seed: UInt64 = 1

    struct Result {
        /// Messages a second in the second half.
        var rate = 0.0
        var bytesInFlightMax = 0
        var inFlightMax = 0
        var window = 0
        /// How long the answers took in the second half, on average.
        var answerTime = 0.0
    }

    private enum Event {
        case arrived(UInt64), committed([UInt64]), answered([UInt64])
    }

    /// Always has something to send, for `duration` seconds.
    func run(
        _ window: inout FlightWindow, duration: Double, verdict: (UInt64, Double) -> Verdict = { _, _ in .accepted }
    )
        -> Result
    {
        var random = SplitMix(seed: seed)
        var events: [(time: Double, event: Event)] = []
        var sentAt: [UInt64: Double] = [:]
        var result = Result()
        var (now, lineFree, peerFree, next, answers, total) = (0.0, 0.0, 0.0, UInt64(0), 0, 0.0)
        var pending: [UInt64] = []
        var isCommitting = false

        func varied(_ time: Double) -> Double {
            jitter == 0 ? time : time * (1 + jitter * Double.random(in: -1...1, using: &random))
        }
        func schedule(_ time: Double, _ event: Event) {
            // Few events lie behind a new one: it is looked for from the end.
            var index = events.count
            while index > 0, events[index - 1].time <= time { index -= 1 }
            events.insert((time, event), at: index)
        }
        func commit() {
            guard !isCommitting, !pending.isEmpty else { return }
            isCommitting = true
            schedule(now + varied(commitTime), .committed(pending))
            pending = []
        }
        func send() {
            while true {
                let bytes = sizes[Int(next % UInt64(sizes.count))]
                guard window.admits(bytes: bytes) else { return }
                window.sent(next, bytes: bytes)
                sentAt[next] = now
                result.bytesInFlightMax = max(result.bytesInFlightMax, window.bytesInFlight)
                result.inFlightMax = max(result.inFlightMax, window.inFlight)
                lineFree = max(lineFree, now) + Double(bytes) / bandwidth
                peerFree = max(peerFree, lineFree + delay) + varied(messageTime)
                schedule(peerFree, .arrived(next))
                next += 1
            }
        }

        send()
        while let first = events.popLast(), first.time < duration {
            now = first.time
            switch first.event {
            case .arrived(let id):
                pending.append(id)
                commit()
            case .committed(let ids):
                isCommitting = false
                schedule(now + delay, .answered(ids))
                commit()
            case .answered(let ids):
                for id in ids {
                    window.answered(id, [verdict(id, now)], now: .seconds(now))
                    if now > duration / 2 {
                        answers += 1
                        total += now - (sentAt[id] ?? now)
                    }
                    sentAt[id] = nil
                }
                send()
            }
        }
        result.rate = Double(answers) / (duration / 2)
        result.answerTime = answers > 0 ? total / Double(answers) : 0
        result.window = window.size
        return result
    }
}
