package import SMTP
package import Wire

/// How a link begins its conversations: what the session is told, and what STARTTLS takes where it is used.
package struct LinkSession: Sendable {
    package var smtp: SMTPClientSettings
    /// What connections that say STARTTLS trust; each then checks the name of its own target.
    package var startTLS: ClientTLS?

    package init(_ smtp: SMTPClientSettings, startTLS: ClientTLS? = nil) {
        self.smtp = smtp
        self.startTLS = startTLS
    }

    func begin(at target: DialTarget) -> SMTPClientSession {
        // The system's generator, whose numbers nobody can foresee.
        let nonce =
            smtp.credentials == nil ? nil : (0..<3).map { _ in String(UInt64.random(in: 0 ... .max), radix: 36) }
        return SMTPClientSession(settings: smtp, isTLS: target.tls != nil, nonce: nonce?.joined())
    }

    func startTLS(on connection: Connection, to target: DialTarget) {
        guard let startTLS else { preconditionFailure("STARTTLS on a link that has no TLS") }
        connection.startTLS(startTLS, name: target.certificateName)
    }
}
