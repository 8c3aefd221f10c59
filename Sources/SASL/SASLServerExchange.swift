/// What came of the proof that a client has sent: whether it knows the user's password.
package struct SASLProof: Sendable, Equatable {
    package let user: String
    package let isRight: Bool

    package init(user: String, isRight: Bool) {
        self.user = user
        self.isRight = isRight
    }
}

/// One log-in as the server sees it (RFC 4422 §3): the client's messages in, challenges and questions out.
package struct SASLServerExchange: Sendable {
    package enum Step: Sendable, Equatable {
        /// Send it to the client, in Base64, and give its answer to `receive(_:)`.
        case challenge([UInt8])
        /// The exchange is over, and the answer to this decides.
        case checkPassword(user: String, password: String)
        /// The exchange is over, and whether this is the challenge's digest by CRAM-MD5 decides.
        case checkDigest(user: String, challenge: String, digest: [UInt8])
        /// Answered by `credentialsFound(_:)`.
        case findSCRAMCredentials(user: String)
        case succeeded(user: String)
        case failed(SASLFailure)
    }

    enum State: Sendable {
        case plain
        case loginUser
        case loginPassword(user: String)
        case cramStart
        case cramResponse
        case scramFirst
        case scramLookUp(SCRAMClientFirst)
        case scramFinal(SCRAMServerFirst)
        case scramVerified(user: String)
        case reportedError(SASLFailure)
        case over
    }

    package let mechanism: SASLMechanism
    var state: State
    let nonce: String?
    private let challenge: String
    let secret: [UInt8]
    let reportsErrors: Bool
    var proof: SASLProof?

    /// - Parameters:
    ///   - nonce: at least 18 random printable characters without a comma (RFC 5802 §5.1), new for every exchange. Nil
    ///     if it comes with the credentials.
    ///   - challenge: for CRAM-MD5 and needed there: of `CRAMMD5.Challenges`, new for every exchange.
    ///   - secret: what invents credentials when `credentialsFound(_:)` gets nil. The same on all servers. A directory
    ///     that invents them itself makes it unnecessary.
    ///   - reportsErrors: whether SCRAM sends `e=...` as a last challenge before it fails (RFC 5802 §7). Off, it fails
    ///     at once, as §5.1 allows: SMTP and POP3 clients take an error inside a challenge for a success that is to
    ///     come, and cancel, so that their user is told of a protocol error instead of a wrong password.
    package init(
        mechanism: SASLMechanism, nonce: String? = nil, challenge: String? = nil, secret: [UInt8] = [],
        reportsErrors: Bool = false
    ) {
        precondition(mechanism != .cramMD5 || challenge != nil, "CRAM-MD5 without a challenge")
        self.mechanism = mechanism
        self.nonce = nonce
        self.challenge = challenge ?? ""
        self.secret = secret
        self.reportsErrors = reportsErrors
        state =
            switch mechanism {
            case .plain: .plain
            case .login: .loginUser
            case .scramSHA256: .scramFirst
            case .cramMD5: .cramStart
            }
    }

    /// Whether the client must wait for a challenge before it says more: what comes with its message was not made from
    /// the challenge.
    package var owesChallenge: Bool {
        switch state {
        case .scramFirst, .scramFinal, .cramStart: true
        default: false
        }
    }

    /// What came of a SCRAM proof, given once: a right one may yet be followed by the client's last word, or by nothing.
    /// Nil while there was none, and for a message that was no answer to this exchange's challenge.
    package mutating func takeProof() -> SASLProof? { proof.take() }

    /// - Parameter initialResponse: nil if the client sent none; empty if it sent "=" (RFC 4954 §4).
    package mutating func start(initialResponse: [UInt8]?) -> Step {
        if let initialResponse { return receive(initialResponse) }
        switch mechanism {
        case .plain, .scramSHA256:
            return .challenge([])
        case .login:
            return .challenge(Array("Username:".utf8))
        case .cramMD5:
            state = .cramResponse
            return .challenge(Array(challenge.utf8))
        }
    }

    package mutating func receive(_ response: [UInt8]) -> Step {
        guard response.count <= SASLLimits.messageOctetsMax else { return fail(.malformed("too long")) }
        switch state {
        case .plain:
            return receivePlain(response)
        case .loginUser:
            guard let user = SASLText.user(response[...]) else { return fail(.malformed("not a user name")) }
            state = .loginPassword(user: user)
            return .challenge(Array("Password:".utf8))
        case .loginPassword(let user):
            guard let password = SASLText.password(response[...]) else { return fail(.malformed("not a password")) }
            state = .over
            return .checkPassword(user: user, password: password)
        case .cramStart:
            // RFC 4954 §4, RFC 5034 §4: an initial response where the server begins is refused.
            return fail(.malformed("the server begins"))
        case .cramResponse:
            guard let answer = CRAMResponse(response) else { return fail(.malformed("not a CRAM-MD5 message")) }
            state = .over
            return .checkDigest(user: answer.user, challenge: challenge, digest: answer.digest)
        case .scramFirst:
            return receiveSCRAMFirst(response)
        case .scramFinal(let first):
            return receiveSCRAMFinal(response, after: first)
        case .scramVerified(let user):
            guard response.isEmpty else { return fail(.malformed("nothing was left to say")) }
            state = .over
            return .succeeded(user: user)
        case .reportedError(let failure):
            return fail(failure)
        case .scramLookUp, .over:
            return fail(.malformed("not now"))
        }
    }

    /// RFC 4616 §2: `authzid NUL authcid NUL passwd`.
    private mutating func receivePlain(_ response: [UInt8]) -> Step {
        let fields = response.split(separator: 0, omittingEmptySubsequences: false)
        guard fields.count == 3, let user = SASLText.user(fields[1]), let password = SASLText.password(fields[2]) else {
            return fail(.malformed("not a PLAIN message"))
        }
        guard fields[0].isEmpty || fields[0].elementsEqual(fields[1]) else {
            return fail(.unsupported(SASLText.otherIdentity))
        }
        state = .over
        return .checkPassword(user: user, password: password)
    }

    mutating func fail(_ failure: SASLFailure) -> Step {
        state = .over
        return .failed(failure)
    }
}
