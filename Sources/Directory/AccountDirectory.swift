package import Mail
package import SASL

/// Who has a mailbox here, and who may log in.
package protocol AccountDirectory: Sendable {
    /// Where mail for an address goes.
    func resolve(_ address: EmailAddress) async throws(DirectoryError) -> Resolution
    func answer(_ request: AuthenticationRequest) async throws(DirectoryError) -> AuthenticationAnswer
}

/// What the directory knows of an address.
package enum Resolution: Hashable, Sendable {
    /// An account's mailbox, or those of an alias's accounts; never empty.
    case mailboxes([Destination])
    /// The domain is ours, and has no such address.
    case unknownUser
    /// Mail for this domain is not kept here.
    case foreignDomain
}

/// The directory cannot say now: a frontend answers with a temporary failure, and never refuses mail for it.
package enum DirectoryError: Error, Hashable, Sendable {
    /// The detail is for the log, not for the client.
    case unavailable(String)
}

extension DirectoryError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let detail): "directory unavailable: \(detail)"
        }
    }
}
