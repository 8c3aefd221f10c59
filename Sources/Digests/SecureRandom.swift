import CCrypto

/// Bytes that nobody can guess, from the kernel by way of libcrypto's generator.
package enum SecureRandom {
    package static func bytes(_ count: Int) -> [UInt8] {
        precondition(count >= 0 && count <= Int32.max, "\(count) random bytes")
        return [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
            let code = RAND_bytes(output.baseAddress, Int32(count))
            precondition(code == 1, "libcrypto has no random bytes")
            initialized = count
        }
    }
}
