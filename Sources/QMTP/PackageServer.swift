import Mail

/// What a QMTP and a QMQP server have in common: the phases, the reading of packages, and what is to be written. The two
/// differ in what they say of a recipient and at a message's end.
struct PackageServer: Sendable {
    private enum Phase: Equatable {
        case reading, awaitingStart, awaitingVerdict
        case closed(Reason?)
    }

    var intake: PackageIntake
    private var phase = Phase.reading
    private var decoder: PackageDecoder
    private let limits: QMTPLimits
    private var output: [UInt8] = []

    init(framing: PackageDecoder.Framing, limits: QMTPLimits) {
        self.limits = limits
        decoder = PackageDecoder(framing: framing, limits: limits)
        intake = PackageIntake(limits: limits)
    }

    var isBetweenMessages: Bool { phase == .reading && decoder.isAtStart }

    mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    /// - Parameter take: does what an event asks for; nil to go on.
    mutating func receive(
        _ unread: UnsafeRawBufferPointer,
        _ take: (PackageDecoder.Event, inout PackageServer) throws(QMTPViolation) -> QMTPServerAction?
    ) -> QMTPServerStep {
        var at = 0
        do throws(QMTPViolation) {
            while phase == .reading {
                let event = try decoder.next(unread, &at)
                if let action = try take(event, &self) { return QMTPServerStep(consumed: at, action: action) }
            }
        } catch {
            reply(.deferred(error.reason))
            phase = .closed(error.reason)
        }
        guard case .closed(let reason) = phase else { preconditionFailure("receive in phase \(phase)") }
        return QMTPServerStep(consumed: unread.count, action: .close(reason))
    }

    /// The events that both take alike: text and sender.
    mutating func take(_ event: PackageDecoder.Event, _ unread: UnsafeRawBufferPointer) -> QMTPServerAction? {
        switch event {
        case .needBytes:
            return .needBytes
        case .textStarts(let byteCount, let lineEnds):
            guard intake.start(byteCount: byteCount, lineEnds) else { return nil }
            phase = .awaitingStart
            return .startMessage(byteCount: byteCount)
        case .text(let range):
            let text = intake.take(UnsafeRawBufferPointer(rebasing: unread[range]))
            return intake.abandonIfFaulty() ?? (text.isEmpty ? nil : .body(text))
        case .textEnded:
            intake.endText()
        case .sender(let bytes):
            intake.takeSender(bytes)
        case .recipient, .end:
            preconditionFailure("\(event) is the protocol's own")
        }
        return intake.abandonIfFaulty()
    }

    mutating func messageStarted(_ verdict: Verdict) {
        precondition(phase == .awaitingStart, "message in phase \(phase)")
        phase = .reading
        intake.isOpen = verdict.isAccepted
        if !verdict.isAccepted { intake.refuse(verdict) }
    }

    /// Reads past the rest of the message that the driver was writing.
    mutating func refuseMessage(_ verdict: Verdict) {
        precondition(phase == .reading && intake.isOpen && !verdict.isAccepted, "\(verdict) in phase \(phase)")
        intake.isOpen = false
        intake.refuse(verdict)
    }

    /// Has the driver store the message, if anybody is to get it.
    mutating func awaitVerdict() -> QMTPServerAction? {
        guard let envelope = intake.envelope else { return nil }
        phase = .awaitingVerdict
        return .endMessage(envelope)
    }

    mutating func verdictCame() {
        precondition(phase == .awaitingVerdict, "verdict in phase \(phase)")
        phase = .reading
    }

    mutating func reply(_ verdict: Verdict) { output += QMTPReply(verdict).bytes }

    mutating func replyAndClose(_ verdict: Verdict) {
        reply(verdict)
        phase = .closed(nil)
    }

    mutating func beginNext() { intake = PackageIntake(limits: limits) }
}

extension PackageIntake {
    /// Tells the driver, once, that the message it is writing will be refused.
    mutating func abandonIfFaulty() -> QMTPServerAction? {
        guard fault != nil, isOpen else { return nil }
        isOpen = false
        return .abandonMessage
    }
}
