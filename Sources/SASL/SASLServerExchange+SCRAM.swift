/// What the server remembers between its first SCRAM message and the client's last (RFC 5802 §5).
struct SCRAMServerFirst: Sendable {
    let client: SCRAMClientFirst
    let nonce: String
    let message: String
    let credentials: SCRAMCredentials
    let isKnown: Bool

    init(client: SCRAMClientFirst, nonce: String, credentials: SCRAMCredentials, isKnown: Bool) {
        self.client = client
        self.nonce = client.nonce + nonce
        self.credentials = credentials
        self.isKnown = isKnown
        message = "r=\(self.nonce),s=\(Base64.encode(credentials.salt)),i=\(credentials.iterations)"
    }

    func authMessage(_ withoutProof: String) -> [UInt8] {
        Array("\(client.bare),\(message),\(withoutProof)".utf8)
    }
}

extension SASLServerExchange {
    /// Answers `.findSCRAMCredentials`. Nil: there is no such user, which the client learns only at the end, and not
    /// apart from a wrong password.
    ///
    /// - Parameter nonce: see `init`; nil if it was given there.
    package mutating func credentialsFound(_ credentials: SCRAMCredentials?, nonce: String? = nil) -> Step {
        guard case .scramLookUp(let client) = state else { return fail(.malformed("not now")) }
        let nonce = nonce ?? self.nonce ?? ""
        precondition(nonce.utf8.count >= 18 && SCRAMText.isNonce(nonce), "not a nonce of 18 characters: \(nonce)")
        let first = SCRAMServerFirst(
            client: client, nonce: nonce, credentials: credentials ?? .invented(user: client.user, secret: secret),
            isKnown: credentials != nil)
        state = .scramFinal(first)
        return .challenge(Array(first.message.utf8))
    }

    mutating func receiveSCRAMFirst(_ response: [UInt8]) -> Step {
        do throws(SASLFailure) {
            let client = try SCRAMClientFirst(response)
            state = .scramLookUp(client)
            return .findSCRAMCredentials(user: client.user)
        } catch {
            return report(error)
        }
    }

    mutating func receiveSCRAMFinal(_ response: [UInt8], after first: SCRAMServerFirst) -> Step {
        do throws(SASLFailure) {
            let final = try SCRAMClientFinal(response)
            guard final.channelBinding == Base64.encode(Array(first.client.header.utf8)) else {
                return report(.malformed("channel-bindings-dont-match"))
            }
            guard final.nonce == first.nonce else { return report(.malformed("other nonce")) }
            let authMessage = first.authMessage(final.withoutProof)
            let isProved = first.credentials.isProved(by: final.proof, authMessage: authMessage) && first.isKnown
            proof = SASLProof(user: first.client.user, isRight: isProved)
            guard isProved else { return report(.wrongCredentials) }
            state = .scramVerified(user: first.client.user)
            let signature = first.credentials.serverSignature(authMessage: authMessage)
            return .challenge(Array("v=\(Base64.encode(signature))".utf8))
        } catch {
            return report(error)
        }
    }

    private mutating func report(_ failure: SASLFailure) -> Step {
        guard reportsErrors else { return fail(failure) }
        state = .reportedError(failure)
        return .challenge(Array("e=\(Self.errorValue(failure))".utf8))
    }

    /// RFC 5802 §7, `server-error-value`. A wrong user is told as a wrong proof.
    private static func errorValue(_ failure: SASLFailure) -> String {
        switch failure {
        case .wrongCredentials: "invalid-proof"
        case .malformed(let text), .unsupported(let text): namedErrors.contains(text) ? text : "other-error"
        }
    }

    private static let namedErrors: Set = [
        "invalid-username-encoding", "extensions-not-supported", "channel-bindings-dont-match",
        "channel-binding-not-supported",
    ]
}
