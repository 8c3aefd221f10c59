package import SASL

/// Which dialect a listener speaks.
package enum SMTPService: String, Hashable, Sendable, CaseIterable {
    /// Mail from the world (RFC 5321).
    case mx
    /// Mail from our own users (RFC 6409).
    case submission
    /// LMTP for clients of the site (RFC 2033).
    case lmtp
    /// LMTP from a frontend to a storage node, with the message's name and the mailboxes' names.
    case cluster

    package var isLMTP: Bool { self == .lmtp || self == .cluster }
}

/// How one listener behaves: everything that a session is told once and for all.
package struct SMTPServerSettings: Hashable, Sendable {
    /// The name in the greeting, in `Received:` and in the answer to EHLO.
    package var hostname: String
    package var service: SMTPService
    package var limits: SMTPLimits
    /// Whether STARTTLS is offered on a plain connection (RFC 3207).
    package var offersStartTLS: Bool
    /// Whether TLS comes before the first byte (RFC 8314 §3).
    package var startsWithTLS: Bool
    /// What AUTH offers (RFC 4954); empty for no AUTH at all.
    package var mechanisms: [SASLMechanism]
    /// What invents SCRAM credentials for users that do not exist; the same on all frontends.
    package var saslSecret: [UInt8]
    /// Whether AUTH is offered under TLS only.
    package var requiresTLSForAuthentication: Bool
    /// Whether MAIL is refused to those who have not authenticated (RFC 6409 §4.3).
    package var requiresAuthentication: Bool
    /// Whether bytes behind EHLO are taken, which RFC 2920 §3.1 forbids a client to send.
    package var clientMayPipelineEarly: Bool
    /// Whether other sites may log in and send copies of what they have (XSITE).
    package var takesSites: Bool
    /// Whether clients may ask for mail that waits here to be sent (RFC 1985); which ones, the driver says.
    package var offersETRN: Bool
    /// Whether clients that have authenticated may ask for such mail over their own connection (RFC 2645).
    package var offersATRN: Bool
    /// The domain that `RCPT TO:<postmaster>` means (RFC 5321 §4.5.1).
    package var postmasterDomain: String

    /// - Parameter postmasterDomain: nil for the host's own name.
    package init(
        hostname: String, service: SMTPService, limits: SMTPLimits = SMTPLimits(), offersStartTLS: Bool = false,
        startsWithTLS: Bool = false, mechanisms: [SASLMechanism] = [], saslSecret: [UInt8] = [],
        requiresTLSForAuthentication: Bool = true,
        requiresAuthentication: Bool? = nil, clientMayPipelineEarly: Bool = false, takesSites: Bool = false,
        offersETRN: Bool = false, offersATRN: Bool = false, postmasterDomain: String? = nil
    ) {
        self.hostname = hostname
        self.service = service
        self.limits = limits
        self.offersStartTLS = offersStartTLS && service != .cluster
        self.startsWithTLS = startsWithTLS
        self.mechanisms = service == .cluster ? [] : mechanisms
        self.saslSecret = saslSecret
        self.requiresTLSForAuthentication = requiresTLSForAuthentication
        self.requiresAuthentication = requiresAuthentication ?? (service == .submission)
        self.clientMayPipelineEarly = clientMayPipelineEarly
        self.takesSites = takesSites && service == .submission
        self.offersETRN = offersETRN && !service.isLMTP
        self.offersATRN = offersATRN && !service.isLMTP
        self.postmasterDomain = postmasterDomain ?? hostname
    }
}
