import Mail

/// A transaction on its way to a server: what was sent of it and what was answered.
struct Outgoing: Sendable {
    /// The commands in their order; a recipient's is told by its index.
    enum Command: Equatable {
        case reset, mail, recipient(Int), body
    }

    let transaction: SMTPClientTransaction
    let isStreaming: Bool
    /// Whether RSET comes first.
    var resetsFirst = false
    /// Commands sent and answered, of `commandCount`.
    var sent = 0
    var answered = 0
    /// One per recipient; what is not refused so far counts as accepted.
    var verdicts: [Verdict]
    var mailIsRefused = false
    /// Recipients that replies to the body judge, one each (RFC 2033 §4.2); nil while no such reply is awaited.
    var awaitingVerdict: ArraySlice<Int>?
    /// Whether any byte of the body may have been written.
    var bodyBegun = false
    var chunksSent = 0
    var chunksAnswered = 0
    var lastChunkSent = false
    /// Whether the driver has heard the outcome or gave the transaction up: only replies are awaited still.
    var isOver = false
    /// Whether the driver will announce no more chunks.
    var isGivenUp = false
    var resetSent = false

    init(_ transaction: SMTPClientTransaction, isStreaming: Bool) {
        self.transaction = transaction
        self.isStreaming = isStreaming
        verdicts = Array(repeating: .accepted, count: transaction.recipients.count)
    }

    var id: SMTPTransactionID { transaction.id }

    private var envelopeCount: Int { (resetsFirst ? 1 : 0) + 1 + transaction.recipients.count }

    /// A streaming transaction's chunks are counted apart.
    var commandCount: Int { envelopeCount + (isStreaming ? 0 : 1) }

    var isEnvelopeAnswered: Bool { answered >= envelopeCount }
    var hasAccepted: Bool { verdicts.contains(.accepted) }
    var accepted: ArraySlice<Int> { verdicts.indices.filter { verdicts[$0].isAccepted }[...] }

    /// Whether every command and chunk was answered.
    var isDrained: Bool { answered == sent && chunksAnswered == chunksSent }

    func command(_ index: Int) -> Command {
        let place = index - (resetsFirst ? 1 : 0)
        if place < 0 { return .reset }
        if place == 0 { return .mail }
        return place <= transaction.recipients.count ? .recipient(place - 1) : .body
    }

    /// Gives all recipients that were not refused yet the same verdict.
    mutating func judgeAccepted(_ verdict: Verdict) {
        for index in verdicts.indices where verdicts[index].isAccepted { verdicts[index] = verdict }
    }
}
