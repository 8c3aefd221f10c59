package import Mail

/// One QMQP conversation as the server sees it: one message, one reply for all its recipients, and the end.
///
/// It is driven as a `QMTPServerSession` is. A message goes to all its recipients or to none.
package struct QMQPServerSession: ~Copyable, Sendable {
    private var server: PackageServer

    package init(limits: QMTPLimits = QMTPLimits()) { server = PackageServer(framing: .qmqp, limits: limits) }

    /// Whether the client may go away here without having left its message half sent.
    package var isBetweenMessages: Bool { server.isBetweenMessages }

    package mutating func takeOutput() -> [UInt8] { server.takeOutput() }

    /// Takes what has come and was not consumed before, up to what the driver has to do.
    package mutating func receive(_ unread: UnsafeRawBufferPointer) -> QMTPServerStep {
        server.receive(unread) { event, server throws(QMTPViolation) in
            switch event {
            case .recipient(let bytes):
                try server.intake.takeRecipient(bytes, excess: .refused(.tooMany))
                if case .some(.some(let refusal)) = server.intake.outcomes.last { server.intake.refuse(refusal) }
                return server.intake.abandonIfFaulty()
            case .end:
                return Self.end(&server)
            default:
                return server.take(event, unread)
            }
        }
    }

    private static func end(_ server: inout PackageServer) -> QMTPServerAction {
        if let action = server.awaitVerdict() { return action }
        server.replyAndClose(server.intake.fault ?? .refused(.nobody))
        return server.intake.isOpen ? .abandonMessage : .close(nil)
    }

    /// Answers `startMessage`. Anything but `.accepted` is what the client will be told.
    package mutating func messageStarted(_ verdict: Verdict) { server.messageStarted(verdict) }

    /// The driver cannot take more of the message that it is writing: the rest is read past, and the client is told this.
    package mutating func refuseMessage(_ verdict: Verdict) { server.refuseMessage(verdict) }

    /// Answers `endMessage`, for all recipients together.
    package mutating func messageStored(_ verdict: Verdict) {
        server.verdictCame()
        server.replyAndClose(verdict)
    }
}
