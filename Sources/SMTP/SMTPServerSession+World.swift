/// What happened outside the conversation: TLS, time, the end of the service.
extension SMTPServerSession {
    /// Which clock ran out.
    package enum TimeoutKind: Sendable {
        /// The client said nothing for too long.
        case idle
        /// The connection, or a message on it, took too long in all.
        case total
        /// The client did not read our replies.
        case output
    }

    /// TLS is to begin.
    package mutating func tlsAccepted() {
        precondition(phase == .awaitingTLS, "TLS in phase \(phase)")
        replies.append(SMTPReply.startTLS)
    }

    /// There is no certificate any more: the conversation goes on without TLS (RFC 3207 §4).
    package mutating func tlsRefused() {
        precondition(phase == .awaitingTLS, "TLS in phase \(phase)")
        phase = .command
        _ = refuse(.noTLS)
    }

    /// The TLS handshake is done. What was said before is forgotten (RFC 3207 §4.2).
    package mutating func tlsStarted(_ tls: SMTPTLS) {
        precondition(phase == .awaitingTLS, "TLS in phase \(phase)")
        phase = .command
        peer.tls = tls
        hello = nil
        user = nil
    }

    /// A clock of the driver's ran out (RFC 5321 §4.5.3.2). `.close`, or `.waitForStorage` while messages that were
    /// read whole await their outcome.
    package mutating func timedOut(_ kind: TimeoutKind) -> Action {
        switch kind {
        case .idle: end(with: SMTPReply(421, "4.4.2", "timed out waiting for you"))
        case .total: end(with: SMTPReply(421, "4.4.2", "the connection took too long"))
        case .output: end(with: SMTPReply(421, "4.4.2", "you do not read replies"))
        }
    }

    /// The server is about to end: a transaction under way is finished, then the client is told (RFC 5321 §3.8).
    ///
    /// - Returns: `.close`, `.waitForStorage`, or `.needBytes` if a transaction is under way.
    package mutating func draining() -> Action {
        isDraining = true
        guard !isBusy, phase == .command || phase == .new else { return .needBytes }
        return end(with: .draining)
    }
}
