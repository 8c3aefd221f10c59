import CCrypto

/// HMAC with MD5 (RFC 2104), for CRAM-MD5 alone (RFC 2195).
package enum HMACMD5 {
    /// Nil where the system's cryptographic policy has no MD5: CRAM-MD5 cannot work there.
    package static func authenticate(key: [UInt8], message: [UInt8]) -> [UInt8]? {
        var isDone = false
        let code = [UInt8](unsafeUninitializedCapacity: MD5.byteCount) { output, count in
            isDone =
                EVP_Q_mac(
                    nil, "HMAC", nil, "MD5", nil, key, key.count, message, message.count, output.baseAddress,
                    output.count, nil) != nil
            count = isDone ? MD5.byteCount : 0
        }
        return isDone ? code : nil
    }
}
