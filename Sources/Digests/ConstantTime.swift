import CCrypto

/// Whether both are the same bytes, in a time that tells nothing about where they differ. The lengths are no secret.
package func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
}
