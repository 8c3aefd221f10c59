import Mail
package import SASL

/// AUTH (RFC 4954): the exchange itself is SASL's, here are its lines and replies.
extension SMTPServerSession {
    /// RFC 4954 §4: `AUTH mechanism [initial-response]`.
    mutating func authenticate(_ arguments: UnsafeRawBufferPointer, hasMore: Bool) -> Action? {
        if hasMore { return end(with: .badPipelining) }
        if settings.mechanisms.isEmpty { return refuse(.notOffered) }
        guard let hello, hello.isExtended else { return refuse(.helloFirst) }
        if user != nil { return refuse(.alreadyAuthenticated) }
        if envelope != nil { return refuse(.notDuringMail) }
        if !offersAuthentication { return refuse(.encryptionNeeded) }
        let words = arguments.split(separator: ASCII.space)
        guard (1...2).contains(words.count) else { return refuse(.badMechanism) }
        let wanted = UnsafeRawBufferPointer(rebasing: words[0])
        let name = String(decoding: wanted, as: UTF8.self).uppercased()
        guard let mechanism = settings.mechanisms.first(where: { $0.rawValue == name }) else {
            return refuse(.unknownMechanism)
        }
        var response: [UInt8]?
        if words.count == 2 {
            // RFC 4954 §4: "=" is a response of no bytes.
            response = words[1].elementsEqual([ASCII.equals]) ? [] : Base64.decode(words[1])
            if response == nil { return refuse(.badBase64) }
        }
        exchangeCount += 1
        // Each exchange has a nonce and a challenge of its own.
        var exchange = SASLServerExchange(
            mechanism: mechanism, nonce: nonce + String(exchangeCount), challenge: challenges?.next(),
            secret: settings.saslSecret)
        let step = exchange.start(initialResponse: response)
        self.exchange = exchange
        return take(step)
    }

    mutating func handleResponse(_ line: UnsafeRawBufferPointer) -> Action? {
        if line.elementsEqual("*".utf8) {
            forgetExchange()
            phase = .command
            return refuse(.cancelled)
        }
        guard let response = Base64.decode(line), let step = exchange?.receive(response) else {
            forgetExchange()
            phase = .command
            return refuse(.badBase64)
        }
        return take(step)
    }

    /// Answers `authenticate`.
    package mutating func authenticationAnswered(_ answer: AuthenticationAnswer) {
        precondition(phase == .awaitingAuthentication, "authentication in phase \(phase)")
        switch answer {
        case .user(let found):
            succeed(found)
        case .credentials(let credentials, let owner):
            scramUser = owner
            goOn(credentials)
        case .rejected:
            if isSCRAM { goOn(nil) } else { fail() }
        case .unavailable(let reason):
            forgetExchange()
            phase = .command
            _ = refuse(SMTPReply(.deferred(reason), accepted: .ok))
        }
    }

    mutating func forgetExchange() {
        exchange = nil
        scramUser = nil
        isSCRAM = false
    }

    /// Without credentials the exchange goes on as if there were some, and fails at its end, so that nobody learns
    /// which users there are.
    private mutating func goOn(_ credentials: SCRAMCredentials?) {
        guard let step = exchange?.credentialsFound(credentials) else { return fail() }
        _ = take(step)
    }

    private mutating func take(_ step: SASLServerExchange.Step) -> Action? {
        switch step {
        case .challenge(let challenge):
            phase = .saslResponse
            replies.append(SMTPReply.challenge(challenge))
            return nil
        case .checkPassword(let name, let password):
            phase = .awaitingAuthentication
            return .authenticate(.password(user: name, password: password))
        case .checkDigest(let name, let challenge, let digest):
            phase = .awaitingAuthentication
            return .authenticate(.cramMD5(user: name, challenge: challenge, digest: digest))
        case .findSCRAMCredentials(let name):
            isSCRAM = true
            phase = .awaitingAuthentication
            return .authenticate(.scramCredentials(user: name))
        case .succeeded:
            if let scramUser { succeed(scramUser) } else { fail() }
            return nil
        case .failed(.malformed):
            forgetExchange()
            phase = .command
            return refuse(.malformedResponse)
        case .failed:
            fail()
            return nil
        }
    }

    private mutating func succeed(_ found: AuthenticatedUser) {
        // Where sites are not taken, none is known.
        if found.site != nil, !settings.takesSites { return fail() }
        forgetExchange()
        phase = .command
        user = found
        replies.append(SMTPReply.authenticated)
    }

    private mutating func fail() {
        forgetExchange()
        phase = .command
        counts.failedLogins += 1
        if counts.failedLogins > limits.authenticationFailuresMax {
            _ = end(with: .tooManyFailures)
        } else {
            _ = refuse(.wrongCredentials)
        }
    }
}

extension SMTPReply {
    /// RFC 4954 §4: 334 and the challenge in base64, whatever its length.
    static func challenge(_ challenge: [UInt8]) -> SMTPReply {
        SMTPReply(raw: Array("334 \(Base64.encode(challenge))\r\n".utf8))
    }
}
