import Mail
import QMTP
import SMTP

/// What a QMTP and a QMQP session have in common for their driver.
protocol PackageSession: ~Copyable {
    /// As `Received:` and the log have it.
    static var protocolName: String { get }
    /// Whether each recipient has an answer of its own; otherwise a message goes to all of them or to none.
    static var answersEach: Bool { get }

    init(limits: QMTPLimits)
    var isBetweenMessages: Bool { get }
    mutating func takeOutput() -> [UInt8]
    mutating func receive(_ unread: UnsafeRawBufferPointer) -> QMTPServerStep
    mutating func messageStarted(_ verdict: Verdict)
    mutating func refuseMessage(_ verdict: Verdict)
    /// Answers `endMessage`: one verdict for each recipient, or where all have one answer any number of them.
    mutating func messageEnded(_ verdicts: [Verdict])
}

extension QMTPServerSession: PackageSession {
    static let protocolName = "QMTP"
    static let answersEach = true

    mutating func messageEnded(_ verdicts: [Verdict]) { messageStored(verdicts) }
}

extension QMQPServerSession: PackageSession {
    static let protocolName = "QMQP"
    static let answersEach = false

    mutating func messageEnded(_ verdicts: [Verdict]) { messageStored(RecipientRoutes.worst(verdicts)) }
}
