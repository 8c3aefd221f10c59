/// The replies of a session in the order of its commands, also when a message's outcome is not known yet: replies to
/// later commands wait behind it.
struct ReplyQueue: Sendable {
    private struct Slot {
        let id: SMTPTransactionID
        let verdictCount: Int
        var outcome: [UInt8]?
        /// The replies to what came after the message.
        var after: [UInt8] = []
    }

    /// What may be written now.
    private(set) var output: [UInt8] = []
    private var slots: [Slot] = []
    private var heldBytes = 0

    /// Replies that may wait behind messages before no more commands are read.
    private static let heldBytesMax = 64 << 10

    /// Messages whose outcome is not known, and those behind them.
    var inFlight: Int { slots.count }
    var isSettled: Bool { slots.isEmpty }
    var isFull: Bool { heldBytes > Self.heldBytesMax }

    mutating func append(_ reply: SMTPReply) { append(reply.bytes) }

    mutating func append(_ bytes: [UInt8]) {
        guard !slots.isEmpty else {
            output.append(contentsOf: bytes)
            return
        }
        slots[slots.count - 1].after.append(contentsOf: bytes)
        heldBytes += bytes.count
    }

    /// A message's outcome will be told later, and stands here.
    mutating func await(_ id: SMTPTransactionID, verdictCount: Int) {
        slots.append(Slot(id: id, verdictCount: verdictCount))
    }

    /// How many verdicts a message awaits; nil if it awaits none.
    func verdictCount(of id: SMTPTransactionID) -> Int? {
        slots.first { $0.id == id && $0.outcome == nil }?.verdictCount
    }

    mutating func settle(_ id: SMTPTransactionID, _ outcome: [UInt8]) {
        guard let index = slots.firstIndex(where: { $0.id == id }) else { return }
        slots[index].outcome = outcome
        var settled = 0
        while settled < slots.count, let bytes = slots[settled].outcome {
            output.append(contentsOf: bytes)
            output.append(contentsOf: slots[settled].after)
            heldBytes -= slots[settled].after.count
            settled += 1
        }
        slots.removeFirst(settled)
    }

    mutating func takeOutput() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &output)
        return taken
    }
}
