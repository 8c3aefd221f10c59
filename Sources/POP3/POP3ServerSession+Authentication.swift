import Mail
package import SASL

/// SASL in POP3 (RFC 5034), and what the directory says of a login.
extension POP3ServerSession {
    /// AUTH alone is not in RFC 5034, but clients older than CAPA learn the mechanisms by it.
    mutating func listMechanisms() -> Action {
        output.ok("mechanisms follow")
        for mechanism in offeredMechanisms { output.line(mechanism.rawValue) }
        output.line(".")
        return .proceed
    }

    var offeredMechanisms: [SASLMechanism] {
        settings.mechanisms.filter { takesPlaintext || !$0.sendsPassword }
    }

    mutating func authenticate(_ name: String, initialResponse: [UInt8]?, isLast: Bool) -> Action {
        guard let mechanism = SASLMechanism(name: name), settings.mechanisms.contains(mechanism) else {
            return refuse("unknown mechanism")
        }
        guard offeredMechanisms.contains(mechanism) else { return refusePlaintext() }
        var response: [UInt8]?
        if let text = initialResponse {
            // RFC 5034 §4: "=" is an initial response of no octets.
            guard let decoded = text == [UInt8(ascii: "=")] ? [] : Base64.decode(text) else {
                return refuse("the response is no base64")
            }
            response = decoded
        }
        user = nil
        candidate = nil
        var exchange = SASLServerExchange(mechanism: mechanism, challenge: challenges?.next())
        guard isLast || !exchange.owesChallenge else { return refuseHaste() }
        let step = exchange.start(initialResponse: response)
        return take(step, exchange)
    }

    mutating func receiveResponse(_ line: UnsafeRawBufferPointer, _ exchange: inout SASLServerExchange) -> Action {
        phase = .authorization
        if line.elementsEqual([UInt8(ascii: "*")]) { return refuse("authentication cancelled") }
        guard let response = Base64.decode(line) else { return refuse("the response is no base64") }
        let step = exchange.receive(response)
        let proof = exchange.takeProof().map { SASLProof(user: $0.user, isRight: $0.isRight && candidate != nil) }
        let action = take(step, exchange)
        guard let proof else { return action }
        expect(action)
        return .proofChecked(proof)
    }

    private mutating func take(_ step: SASLServerExchange.Step, _ exchange: SASLServerExchange) -> Action {
        phase = .authorization
        switch step {
        case .challenge(let challenge):
            phase = .sasl(exchange)
            output.line("+ \(Base64.encode(challenge))")
            return .proceed
        case .checkPassword(let user, let password):
            awaited = .password
            return .authenticate(.password(user: user, password: password))
        case .checkDigest(let user, let challenge, let digest):
            awaited = .password
            return .authenticate(.cramMD5(user: user, challenge: challenge, digest: digest))
        case .findSCRAMCredentials(let user):
            phase = .sasl(exchange)
            awaited = .scram
            return .authenticate(.scramCredentials(user: user))
        case .succeeded:
            return loggedIn(candidate)
        case .failed(let failure):
            return fail(failure)
        }
    }

    private mutating func fail(_ failure: SASLFailure) -> Action {
        candidate = nil
        switch failure {
        case .malformed(let text): return refuse(text)
        case .unsupported(let text): return refuse(text, code: .authentication)
        case .wrongCredentials:
            refuseLogin()
            return .proceed
        }
    }

    private mutating func loggedIn(_ user: AuthenticatedUser?) -> Action {
        candidate = nil
        // Another site has no maildrop.
        guard let user, user.site == nil else {
            refuseLogin()
            return .proceed
        }
        return open(
            POP3OpenRequest(mailbox: user.mailbox, address: user.address, utf8: utf8, language: language))
    }

    /// What the directory says to `.authenticate`.
    ///
    /// - Parameter nonce: for SCRAM: at least 18 random printable characters without a comma, new for each answer.
    package mutating func authenticationAnswered(_ answer: AuthenticationAnswer, nonce: String) {
        if isTimedOut { return }
        guard awaited == .password || awaited == .scram else {
            preconditionFailure("authentication answered while \(String(describing: awaited)) is awaited")
        }
        let isSCRAM = awaited == .scram
        awaited = nil
        switch answer {
        case .user(let user) where !isSCRAM: expect(loggedIn(user))
        case .credentials(let credentials, let user) where isSCRAM: goOn(credentials, user, nonce: nonce)
        case .unavailable(let reason): unavailable(reason)
        case .rejected, .user, .credentials: refuseLogin()
        }
    }

    private mutating func goOn(_ credentials: SCRAMCredentials?, _ user: AuthenticatedUser?, nonce: String) {
        guard case .sasl(var exchange) = phase else { return refuseLogin() }
        candidate = user
        let step = exchange.credentialsFound(credentials, nonce: nonce)
        expect(take(step, exchange))
    }

    private mutating func unavailable(_ reason: Reason) {
        phase = .authorization
        candidate = nil
        let code = reason.code < 500 ? POP3ResponseCode.systemTemporary : .systemPermanent
        refuseWithoutBlame(reason.text, code: code)
    }

    /// The next `receive(_:)` gives the action: an answer itself returns nothing. A question that it leads to is
    /// asked then.
    private mutating func expect(_ action: Action) {
        if action != .proceed, pending == nil { pending = action }
    }
}
