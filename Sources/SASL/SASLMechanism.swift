/// The ways to log in that are offered (RFC 4422), in this order.
package enum SASLMechanism: String, Sendable, CaseIterable {
    case scramSHA256 = "SCRAM-SHA-256"
    case plain = "PLAIN"
    case login = "LOGIN"
    /// Behind the others although it sends no password: only some accounts have the secret that it needs, and many
    /// clients try what comes first.
    case cramMD5 = "CRAM-MD5"

    /// Takes the name as a client sends it: RFC 4422 §3.1 has capitals only, and clients write it in any case.
    package init?(name: some StringProtocol) {
        guard name.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        self.init(rawValue: name.uppercased())
    }

    /// Whether the password itself crosses the wire, so that the mechanism needs TLS (RFC 4954 §4, RFC 5034 §4).
    package var sendsPassword: Bool { self == .plain || self == .login }
}

/// Why an exchange failed.
package enum SASLFailure: Error, Sendable, Equatable {
    /// The client broke the mechanism's syntax; the text says how.
    case malformed(String)
    /// Wrong user or wrong password, and nobody learns which.
    case wrongCredentials
    /// Well-formed, but asks for something that is not offered; the text says what.
    case unsupported(String)
}

/// The bounds of what a client may send. More than RFC 4616 §2 makes a server accept (255 octets a field).
package enum SASLLimits {
    package static let userOctetsMax = 512
    /// crypt(3) takes no longer one.
    package static let passwordOctetsMax = 511
    package static let nonceOctetsMax = 256
    package static let messageOctetsMax = 4096
}
