import CCrypto

/// SHA-256 (FIPS 180-4) of bytes that are all in memory.
package enum SHA256 {
    package static let byteCount = 32

    package static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        digest(bytes, by: DigestAlgorithm.sha256, byteCount: byteCount)
    }

    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { hash($0) }
    }
}

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
package struct RunningSHA256: ~Copyable {
    private let context: OpaquePointer

    package init() {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, DigestAlgorithm.sha256, nil) == 1 else {
            preconditionFailure("libcrypto gave no SHA-256 context")
        }
        self.context = context
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        let code = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        precondition(code == 1, "libcrypto failed to hash \(bytes.count) bytes")
    }

    package consuming func finish() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: SHA256.byteCount) { output, count in
            let code = EVP_DigestFinal_ex(context, output.baseAddress, nil)
            precondition(code == 1, "libcrypto failed to finish SHA-256")
            count = SHA256.byteCount
        }
    }

    deinit { EVP_MD_CTX_free(context) }
}
