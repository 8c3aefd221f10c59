package import Mail

/// What the driver of a QMTP or QMQP server session is to do next.
package enum QMTPServerAction: Equatable, Sendable {
    /// Nothing, until more bytes come; those not consumed are to be given again.
    case needBytes
    /// Begin to take a message of so many octets as sent; `messageStarted(_:)` answers.
    case startMessage(byteCount: Int)
    /// Write these bytes, which have CRLF line ends, to the message that was started.
    case body([UInt8])
    /// The message and its envelope are whole: store it. `messageStored` answers.
    case endMessage(QMTPEnvelope)
    /// Forget the message that was started; what to reply is the session's business.
    case abandonMessage
    /// Write the output, then call `receive` with the rest.
    case proceed
    /// Write the output and end the connection: for this reason, or because all is said. A message that was started is to
    /// be forgotten.
    case close(Reason?)
}

/// What `receive` of such a session did.
package struct QMTPServerStep: Equatable, Sendable {
    /// How many bytes at the head of the input are done with.
    package var consumed: Int
    package var action: QMTPServerAction
}

/// One QMTP conversation as the server sees it: bytes in, actions out, no I/O. One reply per recipient, in order, and
/// any number of messages.
///
/// The driver calls `receive(_:)` with all unread bytes again and again, drops the consumed ones, does the action,
/// and writes `takeOutput()` at the latest before it waits. The text of a message comes before its envelope.
package struct QMTPServerSession: ~Copyable, Sendable {
    private enum Phase: Equatable {
        case reading, awaitingStart, awaitingVerdicts
        case closed(Reason?)
    }

    private var phase = Phase.reading
    private var decoder: PackageDecoder
    private var intake: PackageIntake
    private let limits: QMTPLimits
    private var output: [UInt8] = []

    package init(limits: QMTPLimits = QMTPLimits()) {
        self.limits = limits
        decoder = PackageDecoder(framing: .qmtp, limits: limits)
        intake = PackageIntake(limits: limits)
    }

    /// Whether the client may go away here without having left a message half sent.
    package var isBetweenMessages: Bool { phase == .reading && decoder.isAtStart }

    package mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    /// Takes what has come and was not consumed before, up to what the driver has to do.
    package mutating func receive(_ unread: UnsafeRawBufferPointer) -> QMTPServerStep {
        var at = 0
        do throws(QMTPViolation) {
            while phase == .reading {
                let event = try decoder.next(unread, &at)
                if let action = try take(event, unread) { return QMTPServerStep(consumed: at, action: action) }
            }
        } catch {
            output += QMTPReply(.deferred(error.reason)).bytes
            phase = .closed(error.reason)
        }
        guard case .closed(let reason) = phase else { preconditionFailure("receive in phase \(phase)") }
        return QMTPServerStep(consumed: unread.count, action: .close(reason))
    }

    private mutating func take(
        _ event: PackageDecoder.Event, _ unread: UnsafeRawBufferPointer
    ) throws(QMTPViolation) -> QMTPServerAction? {
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
        case .recipient(let bytes):
            try intake.takeRecipient(bytes, excess: .deferred(.tooManyNow))
        case .end:
            return end()
        }
        return intake.abandonIfFaulty()
    }

    private mutating func end() -> QMTPServerAction? {
        if let envelope = intake.envelope {
            phase = .awaitingVerdicts
            return .endMessage(envelope)
        }
        let wasOpen = intake.isOpen
        reply([])
        return wasOpen ? .abandonMessage : .proceed
    }

    /// Answers `startMessage`. Anything but `.accepted` is what every recipient will be told.
    package mutating func messageStarted(_ verdict: Verdict) {
        precondition(phase == .awaitingStart, "message in phase \(phase)")
        phase = .reading
        intake.isOpen = verdict.isAccepted
        if !verdict.isAccepted { intake.refuse(verdict) }
    }

    /// Answers `endMessage`: one verdict per recipient of the envelope, in its order.
    package mutating func messageStored(_ verdicts: [Verdict]) {
        precondition(phase == .awaitingVerdicts, "verdicts in phase \(phase)")
        precondition(intake.envelope?.recipients.count == verdicts.count, "\(verdicts.count) verdicts")
        phase = .reading
        reply(verdicts)
    }

    /// One reply per recipient, in the order in which they came.
    private mutating func reply(_ verdicts: [Verdict]) {
        var verdicts = verdicts[...]
        for outcome in intake.outcomes {
            let judged = outcome ?? verdicts.popFirst()
            output += QMTPReply(intake.fault ?? judged ?? .deferred(.unexpected)).bytes
        }
        intake = PackageIntake(limits: limits)
    }
}

extension PackageIntake {
    /// Tells the driver, once, that the message it is writing will be refused.
    mutating func abandonIfFaulty() -> QMTPServerAction? {
        guard fault != nil, isOpen else { return nil }
        isOpen = false
        return .abandonMessage
    }
}
