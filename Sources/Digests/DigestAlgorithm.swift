import CCrypto

/// The algorithms as libcrypto hands them out, fetched once: a fetch for every digest costs more than a short digest.
enum DigestAlgorithm {
    // Safe: libcrypto counts references to a fetched algorithm atomically and never changes it.
    nonisolated(unsafe) static let sha256: OpaquePointer = {
        guard let algorithm = EVP_MD_fetch(nil, "SHA256", nil) else { preconditionFailure("libcrypto has no SHA-256") }
        return algorithm
    }()
    nonisolated(unsafe) static let md5: OpaquePointer? = EVP_MD_fetch(nil, "MD5", nil)
}

func digest(_ bytes: UnsafeRawBufferPointer, by algorithm: OpaquePointer, byteCount: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: byteCount) { output, count in
        let code = EVP_Digest(bytes.baseAddress, bytes.count, output.baseAddress, nil, algorithm, nil)
        precondition(code == 1, "libcrypto failed to hash \(bytes.count) bytes")
        count = byteCount
    }
}
