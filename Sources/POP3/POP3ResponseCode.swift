/// The machine-readable reason of a refusal (RFC 2449 §8, RFC 3206 §3).
package enum POP3ResponseCode: String, Sendable, Hashable, CaseIterable {
    /// Another session has the maildrop.
    case inUse = "IN-USE"
    /// The client logs in more often than it may.
    case loginDelay = "LOGIN-DELAY"
    /// A fault of the server that will go away by itself.
    case systemTemporary = "SYS/TEMP"
    /// A fault of the server that somebody has to mend.
    case systemPermanent = "SYS/PERM"
    /// The user name or the password is wrong, or may not be used.
    case authentication = "AUTH"
}
