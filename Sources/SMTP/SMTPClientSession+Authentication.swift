import Mail
import SASL

/// AUTH as a client says it (RFC 4954 §4).
extension SMTPClientSession {
    /// Above RFC 7677 §4's 4096 by far; one log-in then costs a fraction of a second at most.
    private static let iterationsMax = 250_000
    /// RFC 4954 §4: what makes the command longer is sent after the server's empty challenge.
    private static let commandBytesMax = 510

    mutating func authenticate() {
        guard let credentials = settings.credentials else { return becomeReady() }
        guard let mechanism = mechanism(credentials) else { return close(noMechanism(credentials)) }
        var exchange = SASLClientExchange(
            mechanism: mechanism, user: credentials.user, password: credentials.password, nonce: nonce ?? "-",
            iterationsMax: Self.iterationsMax)
        phase = .authentication
        var command = "AUTH \(mechanism.rawValue)"
        var withResponse = exchange
        if let response = withResponse.initialResponse() {
            let longer = "\(command) \(Base64.encode(response))"
            if longer.utf8.count <= Self.commandBytesMax { (command, exchange) = (longer, withResponse) }
        }
        self.exchange = exchange
        send(command)
    }

    mutating func takeAuthenticationReply(_ reply: ParsedReply) {
        switch reply.code {
        case 334: answer(reply.text)
        case 235: succeeded()
        case 500...599: close(refusal(reply.reason))
        default: close(reply.reason)
        }
    }

    private func mechanism(_ credentials: SMTPClientSettings.Credentials) -> SASLClientMechanism? {
        SASLClientMechanism.strongest(offered: capabilities.mechanisms) { mechanism in
            guard credentials.mechanisms.contains(mechanism) else { return false }
            if mechanism == .scramSHA256 { return nonce != nil }
            return !mechanism.sendsPassword || isTLS || credentials.allowsPlainWithoutTLS
        }
    }

    private func noMechanism(_ credentials: SMTPClientSettings.Credentials) -> Reason {
        let isForTLS = capabilities.mechanisms.contains { name in
            SASLClientMechanism(rawValue: name).map { $0.sendsPassword && credentials.mechanisms.contains($0) } ?? false
        }
        let offer = capabilities.mechanisms.isEmpty ? "none" : capabilities.mechanisms.joined(separator: " ")
        return isForTLS && !isTLS
            ? Reason(451, "4.7.0", "the server wants a password without TLS: use TLS, or allow it (it offers \(offer))")
            : Reason(451, "4.7.0", "the server offers no log-in that we may use (it offers \(offer))")
    }

    private mutating func answer(_ text: [UInt8]) {
        guard var exchange, let challenge = Base64.decode(text) else {
            return close(Reason(451, "4.7.0", "the server's challenge is no Base64"))
        }
        switch exchange.receive(challenge) {
        case .respond(let response):
            self.exchange = exchange
            send(Base64.encode(response))
        case .failed(.wrongCredentials):
            close(refusal(Reason(535, "5.7.8", "wrong user or password")))
        case .failed(.malformed(let what)), .failed(.unsupported(let what)):
            close(Reason(451, "4.7.0", "the server's challenge is not acceptable: \(what)"))
        }
    }

    /// RFC 5802 §5: with SCRAM, a server that has not proved that it knows the password is an impostor.
    private mutating func succeeded() {
        if let exchange, exchange.mechanism == .scramSHA256, !exchange.isServerVerified {
            return close(Reason(451, "4.7.0", "the server did not prove that it knows the password"))
        }
        exchange = nil
        becomeReady()
    }

    /// RFC 4954 §6: 535 is for wrong credentials, the others for what the server does not want.
    private func refusal(_ reason: Reason) -> Reason {
        let name = exchange?.mechanism.rawValue ?? "AUTH"
        let advice = reason.code == 535 ? "check user and password" : "check how the server wants to be logged in to"
        return Reason(reason.code, reason.status, "the server refused our log-in by \(name), \(advice): \(reason.text)")
    }
}
