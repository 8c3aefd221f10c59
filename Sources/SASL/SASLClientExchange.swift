import Digests

/// One log-in as the client sees it (RFC 4422 §3).
package struct SASLClientExchange: Sendable {
    package enum Step: Sendable, Equatable {
        /// Send it to the server, in Base64.
        case respond([UInt8])
        case failed(SASLFailure)
    }

    private enum State {
        case plain
        case loginUser
        case loginPassword
        case cramMD5
        case scramFirst
        case scramFinal(bare: String)
        case scramVerifier(signature: [UInt8])
        case over
    }

    /// A server that asks for more than this wastes our time, not an attacker's.
    package static let iterationsMaxDefault = 1_000_000

    package let mechanism: SASLClientMechanism
    private let user: String
    private let password: String
    private let nonce: String
    private let iterationsMax: Int
    private var state: State
    /// Whether the server has proved that it knows the password too; the other mechanisms cannot tell. Without it, a
    /// success that the server claims after SCRAM is none (RFC 5802 §5).
    package private(set) var isServerVerified = false

    /// - Parameter nonce: random printable characters without a comma, new for every exchange.
    package init(
        mechanism: SASLClientMechanism, user: String, password: String, nonce: String,
        iterationsMax: Int = iterationsMaxDefault
    ) {
        precondition(SCRAMText.isNonce(nonce), "not a nonce: \(nonce)")
        self.mechanism = mechanism
        self.user = user
        self.password = password
        self.nonce = nonce
        self.iterationsMax = iterationsMax
        state =
            switch mechanism {
            case .plain: .plain
            case .login: .loginUser
            case .cramMD5: .cramMD5
            case .scramSHA256: .scramFirst
            }
    }

    /// What goes with the AUTH command, or answers the first empty challenge; nil for LOGIN and CRAM-MD5, where the
    /// server begins.
    package mutating func initialResponse() -> [UInt8]? {
        switch state {
        case .plain:
            state = .over
            return [0] + Array(user.utf8) + [0] + Array(password.utf8)
        case .scramFirst:
            let bare = "n=\(SCRAMText.encodedName(user)),r=\(nonce)"
            state = .scramFinal(bare: bare)
            return Array("n,,\(bare)".utf8)
        default:
            return nil
        }
    }

    package mutating func receive(_ challenge: [UInt8]) -> Step {
        switch state {
        case .plain, .scramFirst:
            guard challenge.isEmpty, let response = initialResponse() else {
                return fail("a challenge before its time")
            }
            return .respond(response)
        case .loginUser:
            state = .loginPassword
            return .respond(Array(user.utf8))
        case .loginPassword:
            state = .over
            return .respond(Array(password.utf8))
        case .cramMD5:
            return receiveCRAMChallenge(challenge)
        case .scramFinal(let bare):
            return receiveServerFirst(challenge, bare: bare)
        case .scramVerifier(let signature):
            return receiveVerifier(challenge, signature: signature)
        case .over:
            return fail("a challenge after the end")
        }
    }

    /// RFC 2195 §2: the user, and the challenge's HMAC with the password as key.
    private mutating func receiveCRAMChallenge(_ challenge: [UInt8]) -> Step {
        guard !challenge.isEmpty, challenge.count <= SASLLimits.messageOctetsMax else { return fail("no challenge") }
        guard let code = HMACMD5.authenticate(key: Array(password.utf8), message: challenge) else {
            state = .over
            return .failed(.unsupported("this system has no MD5"))
        }
        state = .over
        return .respond(Array("\(user) \(Hex.encode(code))".utf8))
    }

    private mutating func receiveServerFirst(_ challenge: [UInt8], bare: String) -> Step {
        guard let text = SASLText.text(challenge[...]) else { return fail("not a SCRAM message") }
        if text.hasPrefix("e=") { return refused(text) }
        let attributes = SCRAMText.attributes(text[...])
        guard attributes.count >= 3, let nonce = SCRAMText.value("r", of: attributes[0]),
            let salt = SCRAMText.value("s", of: attributes[1]).flatMap({ Base64.decode($0.utf8) }),
            let iterations = SCRAMText.value("i", of: attributes[2]).flatMap({ Int($0) })
        else { return fail("no salt") }
        guard nonce.hasPrefix(self.nonce), nonce != self.nonce else { return fail("other nonce") }
        guard !salt.isEmpty, (1...max(1, iterationsMax)).contains(iterations) else { return fail("no salt") }
        let keys = SCRAMKeys(password: password, salt: salt, iterations: iterations)
        let withoutProof = "c=biws,r=\(nonce)"
        let authMessage = Array("\(bare),\(text),\(withoutProof)".utf8)
        state = .scramVerifier(signature: HMACSHA256.authenticate(key: keys.serverKey, message: authMessage))
        let proof = Base64.encode(keys.clientProof(authMessage: authMessage))
        return .respond(Array("\(withoutProof),p=\(proof)".utf8))
    }

    private mutating func receiveVerifier(_ challenge: [UInt8], signature: [UInt8]) -> Step {
        guard let text = SASLText.text(challenge[...]) else { return fail("not a SCRAM message") }
        if text.hasPrefix("e=") { return refused(text) }
        let attributes = SCRAMText.attributes(text[...])
        guard let verifier = attributes.first.flatMap({ SCRAMText.value("v", of: $0) }),
            let received = Base64.decode(verifier.utf8), constantTimeEqual(received, signature)
        else { return fail("the server does not know the password") }
        state = .over
        isServerVerified = true
        return .respond([])
    }

    private mutating func refused(_ text: String) -> Step {
        state = .over
        return .failed(text == "e=invalid-proof" ? .wrongCredentials : .unsupported(String(text.dropFirst(2))))
    }

    private mutating func fail(_ text: String) -> Step {
        state = .over
        return .failed(.malformed(text))
    }
}
