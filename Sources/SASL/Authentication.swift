package import Mail

/// What a protocol session asks of the directory when somebody logs in.
package enum AuthenticationRequest: Sendable, Equatable {
    case password(user: String, password: String)
    case scramCredentials(user: String)
    /// RFC 1939 §7; the digest has 16 bytes.
    case apop(user: String, challenge: String, digest: [UInt8])

    package var user: String {
        switch self {
        case .password(let user, _), .scramCredentials(let user), .apop(let user, _, _): user
        }
    }
}

/// Somebody who proved to be who they say: the account's address and the mailbox behind it.
package struct AuthenticatedUser: Sendable, Equatable {
    package let address: EmailAddress
    package let mailbox: MailboxName

    package init(address: EmailAddress, mailbox: MailboxName) {
        self.address = address
        self.mailbox = mailbox
    }
}

/// The directory's answer to an `AuthenticationRequest`.
package enum AuthenticationAnswer: Sendable, Equatable {
    /// The password or the APOP digest was right.
    case user(AuthenticatedUser)
    /// What a SCRAM exchange goes on with, and who it will have been if the proof is right. Without such a user the
    /// credentials are invented or nil, and the exchange fails at its end.
    case credentials(SCRAMCredentials?, AuthenticatedUser?)
    /// Wrong user or wrong password, indistinguishable.
    case rejected
    /// The directory cannot say now.
    case unavailable(Reason)
}
