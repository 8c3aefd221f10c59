import Digests

/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 §2.3): it proves a client right, and cannot log in.
package struct SCRAMCredentials: Sendable, Equatable {
    package let salt: [UInt8]
    package let iterations: Int
    package let storedKey: [UInt8]
    package let serverKey: [UInt8]

    /// RFC 7677 §4: at least 4096.
    package static let iterationsDefault = 4096
    package static let saltOctets = 16

    package init(salt: [UInt8], iterations: Int, storedKey: [UInt8], serverKey: [UInt8]) {
        self.salt = salt
        self.iterations = iterations
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    /// Makes the keys of a password, which is taken as it is (the caller prepares it as RFC 4013 says).
    package init(password: String, salt: [UInt8], iterations: Int = iterationsDefault) {
        let keys = SCRAMKeys(password: password, salt: salt, iterations: iterations)
        self.init(salt: salt, iterations: iterations, storedKey: keys.storedKey, serverKey: keys.serverKey)
    }

    /// Credentials for a user that does not exist: always the same for one name, so that asking twice tells nothing,
    /// and with keys that no password has.
    ///
    /// - Parameter secret: the same on all servers, and known to them alone.
    package static func invented(
        user: String, secret: [UInt8], iterations: Int = iterationsDefault
    ) -> SCRAMCredentials {
        func derive(_ purpose: String) -> [UInt8] {
            HMACSHA256.authenticate(key: secret, message: Array("\(purpose)\0\(user)".utf8))
        }
        return SCRAMCredentials(
            salt: Array(derive("salt").prefix(saltOctets)), iterations: iterations, storedKey: derive("stored"),
            serverKey: derive("server"))
    }

    /// Whether both are of one password with one salt; takes the same time whatever differs.
    package func isSame(as other: SCRAMCredentials) -> Bool {
        constantTimeEqual(storedKey + serverKey, other.storedKey + other.serverKey)
    }

    /// Whether `proof` is the client's proof for this password and this exchange (RFC 5802 §3).
    func isProved(by proof: [UInt8], authMessage: [UInt8]) -> Bool {
        guard proof.count == SHA256.byteCount, storedKey.count == SHA256.byteCount else { return false }
        let signature = HMACSHA256.authenticate(key: storedKey, message: authMessage)
        let clientKey = zip(proof, signature).map { $0 ^ $1 }
        return constantTimeEqual(SHA256.hash(clientKey), storedKey)
    }

    func serverSignature(authMessage: [UInt8]) -> [UInt8] {
        HMACSHA256.authenticate(key: serverKey, message: authMessage)
    }
}

/// The keys that RFC 5802 §3 derives from a password.
struct SCRAMKeys {
    let clientKey: [UInt8]
    let storedKey: [UInt8]
    let serverKey: [UInt8]

    init(password: String, salt: [UInt8], iterations: Int) {
        let salted = PBKDF2.sha256(
            password: Array(password.utf8), salt: salt, iterations: iterations, length: SHA256.byteCount)
        clientKey = HMACSHA256.authenticate(key: salted, message: Array("Client Key".utf8))
        storedKey = SHA256.hash(clientKey)
        serverKey = HMACSHA256.authenticate(key: salted, message: Array("Server Key".utf8))
    }

    func clientProof(authMessage: [UInt8]) -> [UInt8] {
        zip(clientKey, HMACSHA256.authenticate(key: storedKey, message: authMessage)).map { $0 ^ $1 }
    }
}
