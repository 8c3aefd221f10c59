import CCrypto

/// HMAC with SHA-256 (RFC 2104).
package enum HMACSHA256 {
    package static func authenticate(key: [UInt8], message: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: SHA256.byteCount) { output, count in
            let code = EVP_Q_mac(
                nil, "HMAC", nil, "SHA256", nil, key, key.count, message, message.count, output.baseAddress,
                output.count, nil)
            precondition(code != nil, "libcrypto failed to compute an HMAC")
            count = SHA256.byteCount
        }
    }
}

/// PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2): SCRAM's `Hi` (RFC 5802 §2.2) when `length` is 32.
package enum PBKDF2 {
    package static func sha256(password: [UInt8], salt: [UInt8], iterations: Int, length: Int) -> [UInt8] {
        precondition(iterations > 0 && iterations <= Int32.max, "PBKDF2 with \(iterations) iterations")
        precondition(length > 0 && length <= 1 << 20, "PBKDF2 for \(length) bytes")
        return [UInt8](unsafeUninitializedCapacity: length) { output, count in
            let code = password.withUnsafeBytes { password in
                PKCS5_PBKDF2_HMAC(
                    password.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(password.count), salt,
                    Int32(salt.count), Int32(iterations), DigestAlgorithm.sha256, Int32(length), output.baseAddress)
            }
            precondition(code == 1, "libcrypto failed to derive a key")
            count = length
        }
    }
}
