package import Mail

/// A recipient who did not get a message, and why (RFC 3464 §2.3).
package struct FailedRecipient: Hashable, Sendable {
    package var address: EmailAddress
    /// ORCPT of RFC 3461 §4.2 without its xtext, such as `rfc822;alice@example.test`, if the sender gave it.
    package var originalRecipient: String?
    /// Refused: for good. Deferred: until the message was too old. Accepted ones are not reported.
    package var verdict: Verdict
    /// The host that said so; nil if we did.
    package var remoteHost: String?
    /// When it was tried last, in seconds since 1970 in UTC.
    package var lastAttempt: Int64?

    package init(
        address: EmailAddress, verdict: Verdict, originalRecipient: String? = nil, remoteHost: String? = nil,
        lastAttempt: Int64? = nil
    ) {
        self.address = address
        self.verdict = verdict
        self.originalRecipient = originalRecipient
        self.remoteHost = remoteHost
        self.lastAttempt = lastAttempt
    }
}

/// A message that could not be delivered to some of its recipients.
package struct FailedMessage: Hashable, Sendable {
    /// Who is to be told.
    package var sender: ReversePath
    package var recipients: [FailedRecipient]
    /// When it came, in seconds since 1970 in UTC.
    package var arrival: Int64
    /// ENVID of RFC 3461 §4.4 without its xtext, if the sender gave it.
    package var envelopeID: String?
    /// The message's first bytes, with either kind of line end; anything may stand there.
    package var content: [UInt8]
    /// Whether `content` is the whole message.
    package var isWhole: Bool

    package init(
        sender: ReversePath, recipients: [FailedRecipient], arrival: Int64, envelopeID: String? = nil,
        content: [UInt8] = [], isWhole: Bool = false
    ) {
        self.sender = sender
        self.recipients = recipients
        self.arrival = arrival
        self.envelopeID = envelopeID
        self.content = content
        self.isWhole = isWhole
    }
}
