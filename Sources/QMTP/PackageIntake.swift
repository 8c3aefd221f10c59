package import Mail

/// One message on its way in: what was heard of its envelope, and why it cannot be taken, if so.
struct PackageIntake: Sendable {
    private let limits: QMTPLimits
    private var text: TextDecoder
    private var sender: ReversePath?
    private var recipients: [EmailAddress] = []
    /// The outcome of each recipient as far as it is known; nil for those that the driver will judge.
    private(set) var outcomes: [Verdict?] = []
    /// Why nobody gets the message, but for its text.
    private var refusal: Verdict?
    /// Whether the driver is writing it.
    var isOpen = false

    init(limits: QMTPLimits) {
        self.limits = limits
        text = TextDecoder(.lf, limits: limits)
    }

    /// Why nobody gets the message.
    var fault: Verdict? { refusal ?? text.fault.map { .refused($0) } }

    var envelope: QMTPEnvelope? {
        guard fault == nil, let sender, !recipients.isEmpty else { return nil }
        return QMTPEnvelope(
            sender: sender, recipients: recipients, byteCount: text.byteCount, endsInsideLine: text.endsInsideLine)
    }

    /// Begins to read a text; false if it is only read past.
    mutating func start(byteCount: Int, _ lineEnds: LineEnds) -> Bool {
        text = TextDecoder(lineEnds, limits: limits)
        if byteCount > limits.messageBytesMax { refuse(.refused(.tooBig)) }
        return fault == nil
    }

    mutating func refuse(_ verdict: Verdict) {
        if fault == nil { refusal = verdict }
    }

    mutating func take(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        refusal == nil ? text.decode(bytes) : []
    }

    mutating func endText() {
        if refusal == nil { text.finish() }
    }

    mutating func takeSender(_ bytes: [UInt8]?) {
        sender = bytes.flatMap(QMTPAddress.parseSender)
        if sender == nil { refuse(.refused(.badSender)) }
    }

    /// - Parameter excess: what a recipient beyond the limit is told.
    mutating func takeRecipient(_ bytes: [UInt8]?, excess: Verdict) throws(QMTPViolation) {
        if outcomes.count >= limits.refusedRecipientsMax { throw QMTPViolation("too many recipients") }
        if recipients.count >= limits.recipientsMax {
            outcomes.append(excess)
        } else if let address = bytes.flatMap(QMTPAddress.parse) {
            recipients.append(address)
            outcomes.append(nil)
        } else {
            outcomes.append(.refused(.badRecipient))
        }
    }
}

extension Reason {
    static let tooBig = Reason(552, "5.3.4", "message is too big")
    static let lineTooLong = Reason(500, "5.6.0", "message has a line that is too long")
    static let bareLineEnd = Reason(550, "5.6.11", "message has a CR or LF that ends no line")
    package static let badSender = Reason(553, "5.1.7", "sender is no mail address")
    package static let badRecipient = Reason(553, "5.1.3", "recipient is no mail address")
    static let tooManyNow = Reason(452, "4.5.3", "too many recipients, send the message to the others again")
    static let tooMany = Reason(554, "5.5.3", "too many recipients")
    static let nobody = Reason(554, "5.5.1", "no recipients")
}
