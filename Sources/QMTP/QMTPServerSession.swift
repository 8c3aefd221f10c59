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
    private var server: PackageServer

    package init(limits: QMTPLimits = QMTPLimits()) { server = PackageServer(framing: .qmtp, limits: limits) }

    /// Whether the client may go away here without having left a message half sent.
    package var isBetweenMessages: Bool { server.isBetweenMessages }

    package mutating func takeOutput() -> [UInt8] { server.takeOutput() }

    /// Takes what has come and was not consumed before, up to what the driver has to do.
    package mutating func receive(_ unread: UnsafeRawBufferPointer) -> QMTPServerStep {
        server.receive(unread) { event, server throws(QMTPViolation) in
            switch event {
            case .recipient(let bytes):
                try server.intake.takeRecipient(bytes, excess: .deferred(.tooManyNow))
                return server.intake.abandonIfFaulty()
            case .end:
                return Self.end(&server)
            default:
                return server.take(event, unread)
            }
        }
    }

    private static func end(_ server: inout PackageServer) -> QMTPServerAction? {
        if let action = server.awaitVerdict() { return action }
        let wasOpen = server.intake.isOpen
        reply([], &server)
        return wasOpen ? .abandonMessage : .proceed
    }

    /// Answers `startMessage`. Anything but `.accepted` is what every recipient will be told.
    package mutating func messageStarted(_ verdict: Verdict) { server.messageStarted(verdict) }

    /// The driver cannot take more of the message that it is writing: the rest is read past, and every recipient is told this.
    package mutating func refuseMessage(_ verdict: Verdict) { server.refuseMessage(verdict) }

    /// Answers `endMessage`: one verdict per recipient of the envelope, in its order.
    package mutating func messageStored(_ verdicts: [Verdict]) {
        server.verdictCame()
        precondition(server.intake.envelope?.recipients.count == verdicts.count, "\(verdicts.count) verdicts")
        Self.reply(verdicts, &server)
    }

    /// One reply per recipient, in the order in which they came.
    private static func reply(_ verdicts: [Verdict], _ server: inout PackageServer) {
        var verdicts = verdicts[...]
        for outcome in server.intake.outcomes {
            let judged = outcome ?? verdicts.popFirst()
            server.reply(server.intake.fault ?? judged ?? .deferred(.unexpected))
        }
        server.beginNext()
    }
}
