import Digests

/// CRAM-MD5 (RFC 2195): the server's challenge, and its HMAC with a secret that both sides know.
package enum CRAMMD5 {
    /// - Parameter challenge: with its angle brackets.
    /// - Returns: 16 bytes; nil where the system's cryptographic policy has no MD5.
    package static func digest(challenge: String, secret: String) -> [UInt8]? {
        HMACMD5.authenticate(key: Array(secret.utf8), message: Array(challenge.utf8))
    }

    /// Makes the challenges of one connection: `<digits.seconds@hostname>` (RFC 2195 §2), another one for each exchange.
    package struct Challenges: Sendable {
        private let seed: [UInt8]
        private let seconds: Int64
        private let hostname: String
        private var count: UInt64 = 0

        /// - Parameters:
        ///   - seed: at least 16 random bytes of this connection, which nobody else sees: challenges are not known before
        ///     they are sent.
        ///   - seconds: the time, since 1970.
        package init(seed: [UInt8], seconds: Int64, hostname: String) {
            precondition(seed.count >= 16, "a seed of \(seed.count) bytes")
            self.seed = seed
            self.seconds = seconds
            self.hostname = hostname
        }

        package mutating func next() -> String {
            count += 1
            let code = HMACSHA256.authenticate(key: seed, message: Array("\(count)".utf8))
            let number = code.prefix(16).reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
            return "<\(number).\(seconds)@\(hostname)>"
        }
    }
}

/// What a client answers to CRAM-MD5's challenge (RFC 2195 §2): the user, a space, and the digest in hexadecimal digits.
struct CRAMResponse {
    let user: String
    /// 16 bytes.
    let digest: [UInt8]

    /// Nil for anything else. The space is the last one, because user names may hold spaces.
    init?(_ message: [UInt8]) {
        guard let space = message.lastIndex(of: UInt8(ascii: " ")), let user = SASLText.user(message[..<space]),
            let digits = SASLText.text(message[(space + 1)...]), let digest = Hex.decode(digits),
            digest.count == MD5.byteCount
        else { return nil }
        self.user = user
        self.digest = digest
    }
}
