package import Mail

/// One QMQP conversation as the server sees it: one message, one reply for all its recipients, and the end.
///
/// It is driven as a `QMTPServerSession` is. A message goes to all its recipients or to none.
package struct QMQPServerSession: ~Copyable, Sendable {
    private enum Phase: Equatable {
        case reading, awaitingStart, awaitingVerdict
        case closed(Reason?)
    }

    private var phase = Phase.reading
    private var decoder: PackageDecoder
    private var intake: PackageIntake
    private var output: [UInt8] = []

    package init(limits: QMTPLimits = QMTPLimits()) {
        decoder = PackageDecoder(framing: .qmqp, limits: limits)
        intake = PackageIntake(limits: limits)
    }

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
            try intake.takeRecipient(bytes, excess: .refused(.tooMany))
            if case .some(.some(let refusal)) = intake.outcomes.last { intake.refuse(refusal) }
        case .end:
            return end()
        }
        return intake.abandonIfFaulty()
    }

    private mutating func end() -> QMTPServerAction {
        if let envelope = intake.envelope {
            phase = .awaitingVerdict
            return .endMessage(envelope)
        }
        reply(intake.fault ?? .refused(.nobody))
        return intake.isOpen ? .abandonMessage : .close(nil)
    }

    /// Answers `startMessage`. Anything but `.accepted` is what the client will be told.
    package mutating func messageStarted(_ verdict: Verdict) {
        precondition(phase == .awaitingStart, "message in phase \(phase)")
        phase = .reading
        intake.isOpen = verdict.isAccepted
        if !verdict.isAccepted { intake.refuse(verdict) }
    }

    /// Answers `endMessage`, for all recipients together.
    package mutating func messageStored(_ verdict: Verdict) {
        precondition(phase == .awaitingVerdict, "verdict in phase \(phase)")
        reply(verdict)
    }

    private mutating func reply(_ verdict: Verdict) {
        output += QMTPReply(verdict).bytes
        phase = .closed(nil)
    }
}
