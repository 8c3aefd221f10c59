package import Mail

/// What a protocol session asks of the directory when somebody logs in.
package enum AuthenticationRequest: Sendable, Equatable {
    case password(user: String, password: String)
    case scramCredentials(user: String)
    /// RFC 1939 §7; the digest has 16 bytes.
    case apop(user: String, challenge: String, digest: [UInt8])
    /// RFC 2195; the digest has 16 bytes.
    case cramMD5(user: String, challenge: String, digest: [UInt8])

    package var user: String {
        switch self {
        case .password(let user, _), .scramCredentials(let user), .apop(let user, _, _), .cramMD5(let user, _, _): user
        }
    }
}

/// Somebody who proved to be who they say: the account's address and the mailbox behind it; or another site.
package struct AuthenticatedUser: Sendable, Equatable {
    package let address: EmailAddress
    package let mailbox: MailboxName
    /// The site's name; nil for an account.
    package let site: String?

    package init(address: EmailAddress, mailbox: MailboxName) {
        self.address = address
        self.mailbox = mailbox
        site = nil
    }

    /// Nil unless `site` is a site's name.
    package init?(site: String) {
        guard SitePath.isName(site), let mailbox = MailboxName(local: site, domain: Self.siteDomain) else { return nil }
        address = EmailAddress(local: site, domain: Self.siteDomain)
        self.mailbox = mailbox
        self.site = site
    }

    /// RFC 6761 §6.4: nobody has an address there.
    package static let siteDomain = "site.invalid"
}

/// The directory's answer to an `AuthenticationRequest`.
package enum AuthenticationAnswer: Sendable, Equatable {
    /// The password was right, or the digest of APOP or CRAM-MD5.
    case user(AuthenticatedUser)
    /// What a SCRAM exchange goes on with, and who it will have been if the proof is right. Without such a user the
    /// credentials are invented or nil, and the exchange fails at its end.
    case credentials(SCRAMCredentials?, AuthenticatedUser?)
    /// Wrong user or wrong password, indistinguishable.
    case rejected
    /// The directory cannot say now.
    case unavailable(Reason)
}
