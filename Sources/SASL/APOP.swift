import Digests

/// APOP (RFC 1939 §7): the digest of the greeting's timestamp and a shared secret.
package enum APOP {
    /// - Parameter challenge: the timestamp of the greeting, with its angle brackets.
    /// - Returns: 16 bytes; nil where the system's cryptographic policy has no MD5.
    package static func digest(challenge: String, secret: String) -> [UInt8]? {
        MD5.hash(Array(challenge.utf8) + Array(secret.utf8))
    }
}
