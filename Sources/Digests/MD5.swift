import CCrypto

/// MD5 (RFC 1321), for APOP (RFC 1939 §7) and CRAM-MD5 (RFC 2195) alone.
package enum MD5 {
    package static let byteCount = 16

    /// Nil where the system's cryptographic policy has no MD5: APOP cannot work there.
    package static func hash(_ bytes: [UInt8]) -> [UInt8]? {
        guard let algorithm = DigestAlgorithm.md5 else { return nil }
        return bytes.withUnsafeBytes { digest($0, by: algorithm, byteCount: byteCount) }
    }
}
