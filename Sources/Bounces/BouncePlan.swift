package import Mail

/// What is to be done about a message that could not be delivered.
package enum BounceDecision: Hashable, Sendable {
    case send(BounceMessage)
    /// Nobody is told; the text is for the log.
    case nothing(String)
}

/// Who is told of a message that could not be delivered: its sender; the postmaster if it has none (a bounce that
/// bounced); nobody if the postmaster could not be told either (RFC 5321 §6.1: a loop of notices must not be possible).
package struct BouncePlan: Hashable, Sendable {
    /// The host that reports.
    package var reportingHost: String
    /// Who gets the bounces that bounced.
    package var postmaster: EmailAddress
    /// Octets of the original's header that are returned at most.
    package var headerBytesMax: Int
    /// Octets of a message that is returned whole at most.
    package var messageBytesMax: Int

    package static let doubleBounceSender = ReversePath.address(.doubleBounce)

    package init(
        reportingHost: String, postmaster: EmailAddress, headerBytesMax: Int = 64 << 10, messageBytesMax: Int = 32 << 10
    ) {
        self.reportingHost = reportingHost
        self.postmaster = postmaster
        self.headerBytesMax = min(max(0, headerBytesMax), 1 << 20)
        self.messageBytesMax = min(max(0, messageBytesMax), 16 << 20)
    }

    /// - Parameters:
    ///   - messageID: what stands between the angle brackets of the notice's Message-ID; different for every notice.
    ///   - now: seconds since 1970 in UTC.
    package func decide(_ failed: FailedMessage, messageID: String, now: Int64) -> BounceDecision {
        guard failed.recipients.contains(where: { !$0.verdict.isAccepted }) else { return .nothing("nobody failed") }
        let writer = BounceWriter(plan: self, failed: failed, messageID: messageID, now: now)
        switch failed.sender {
        case Self.doubleBounceSender:
            return .nothing("a notice to the postmaster could not be delivered: \(firstReason(failed))")
        case .null:
            return .send(writer.message(from: Self.doubleBounceSender, to: postmaster))
        case .address(let sender):
            return .send(writer.message(from: .null, to: sender))
        }
    }

    private func firstReason(_ failed: FailedMessage) -> String {
        let verdict = failed.recipients.first { !$0.verdict.isAccepted }?.verdict
        return verdict.map { BounceText.utf8($0.description, max: 500) } ?? ""
    }
}
