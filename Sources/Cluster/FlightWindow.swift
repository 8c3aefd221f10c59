package import Mail

/// How many transactions may be in flight on one link: as many as make it faster, and no more.
///
/// It grows while throughput grows with it, shrinks when the peer puts mail off or does not answer, and never lets more
/// octets out than the bound. The times that it is given only ever grow.
package struct FlightWindow: Sendable {
    private struct Sent {
        let order: UInt64
        let bytes: Int
    }

    private let bytesMax: Int
    private var climb: WindowClimb
    private var sent: [UInt64: Sent] = [:]
    private var nextOrder: UInt64 = 0
    package private(set) var bytesInFlight = 0

    /// - Parameters:
    ///   - transactionsMax: the largest window.
    ///   - bytesMax: octets of all messages in flight together; one message alone may be larger.
    package init(transactionsMax: Int = 512, bytesMax: Int = 16 << 20) {
        self.bytesMax = max(1, bytesMax)
        climb = WindowClimb(max: max(1, transactionsMax))
    }

    package var inFlight: Int { sent.count }
    /// The window now.
    package var size: Int { climb.window }
    /// How many more transactions may be sent now, as far as their number goes.
    package var room: Int { max(0, climb.window - sent.count) }

    /// Whether a message of so many octets may be sent now.
    package func admits(bytes: Int) -> Bool {
        guard room > 0 else { return false }
        return sent.isEmpty || max(0, bytes) <= bytesMax - bytesInFlight
    }

    package mutating func sent(_ id: UInt64, bytes: Int) {
        settle(id)
        let size = min(max(0, bytes), 1 << 50)
        sent[id] = Sent(order: nextOrder, bytes: size)
        nextOrder += 1
        bytesInFlight += size
        if room == 0 { climb.filled() }
    }

    /// A transaction has its verdicts. What is unknown is ignored.
    package mutating func answered(_ id: UInt64, _ verdicts: [Verdict], now: Duration) {
        guard let known = settle(id) else { return }
        if verdicts.contains(where: Self.tellsOfLoad) {
            climb.congested(order: known.order, nextOrder: nextOrder)
        } else {
            climb.answered(order: known.order, nextOrder: nextOrder, work: known.bytes + Self.messageWork, now: now)
        }
    }

    /// A transaction was not sent after all. What is unknown is ignored.
    package mutating func withdrawn(_ id: UInt64) { settle(id) }

    /// A transaction has no answer in time, or its connection was lost.
    package mutating func lost(_ id: UInt64) {
        guard let known = settle(id) else { return }
        climb.congested(order: known.order, nextOrder: nextOrder)
    }

    /// What a message costs besides its octets, in octets: the peer makes it durable.
    private static let messageWork = 4096

    @discardableResult
    private mutating func settle(_ id: UInt64) -> Sent? {
        guard let known = sent.removeValue(forKey: id) else { return nil }
        bytesInFlight -= known.bytes
        return known
    }

    /// RFC 3463 §2: a full mailbox or an odd address says nothing about the peer; its system, network or policy does.
    private static func tellsOfLoad(_ verdict: Verdict) -> Bool {
        guard case .deferred(let reason) = verdict else { return false }
        let subject = reason.status.split(separator: ".").dropFirst().first
        return !["1", "2", "5", "6"].contains(subject)
    }
}
