package import SMTP
package import Wire

/// How a link begins its conversations: what the session is told, and what STARTTLS takes where it is used.
package struct LinkSession: Sendable {
    package var smtp: SMTPClientSettings
    /// Asked for each connection that says STARTTLS.
    package var startTLS: (@Sendable () -> (tls: ClientTLS, name: String?))?

    package init(
        _ smtp: SMTPClientSettings, startTLS: (@Sendable () -> (tls: ClientTLS, name: String?))? = nil
    ) {
        self.smtp = smtp
        self.startTLS = startTLS
    }

    func begin(isTLS: Bool) -> SMTPClientSession {
        // The system's generator, whose numbers nobody can foresee.
        let nonce =
            smtp.credentials == nil ? nil : (0..<3).map { _ in String(UInt64.random(in: 0 ... .max), radix: 36) }
        return SMTPClientSession(settings: smtp, isTLS: isTLS, nonce: nonce?.joined())
    }

    func startTLS(on connection: Connection) {
        guard let startTLS else { preconditionFailure("STARTTLS on a link that has no TLS") }
        let (tls, name) = startTLS()
        connection.startTLS(tls, name: name)
    }
}
