/// The ways to log in that a client knows, strongest first.
package enum SASLClientMechanism: String, Sendable, CaseIterable {
    case scramSHA256 = "SCRAM-SHA-256"
    case cramMD5 = "CRAM-MD5"
    case plain = "PLAIN"
    case login = "LOGIN"

    /// Whether the password itself crosses the wire, so that the mechanism needs TLS (RFC 4954 §4).
    package var sendsPassword: Bool { self == .plain || self == .login }

    /// The strongest one that both sides have; nil if there is none.
    ///
    /// - Parameters:
    ///   - offered: the server's mechanisms, in upper case.
    ///   - allowed: what the client may use.
    package static func strongest(offered: [String], where allowed: (Self) -> Bool) -> Self? {
        allCases.first { offered.contains($0.rawValue) && allowed($0) }
    }
}
