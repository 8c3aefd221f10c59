package import Mail
package import SASL

/// Who has a mailbox here, and who may log in.
package protocol AccountDirectory: Sendable {
    /// Where mail for an address goes.
    func resolve(_ address: EmailAddress) async throws(DirectoryError) -> Resolution
    func answer(_ request: AuthenticationRequest) async throws(DirectoryError) -> AuthenticationAnswer
    /// The answer, if it is known now; never waits.
    func answerNow(_ request: AuthenticationRequest) -> AuthenticationAnswer?
    /// One name for all the ways to write the user name of one account, whether there is such an account or not.
    func accountKey(of login: String) -> String
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
    /// The task that asked was cancelled: nobody waits for an answer.
    case cancelled
}

extension DirectoryError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let detail): "directory unavailable: \(detail)"
        case .cancelled: "nobody waits for the directory"
        }
    }
}
