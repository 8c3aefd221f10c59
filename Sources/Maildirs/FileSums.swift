import Cluster
import Mail

/// What a message's file name says of its bytes.
struct FileSums: Hashable, Sendable {
    /// XXH64 of the bytes on disk: a copy that does not have it any more is damaged.
    let checksum: UInt64
    /// Nil for a message without a Message-ID.
    let digest: ContentDigest?
}

/// The sums of a file whose bytes pass by in pieces, in a few hundred bytes of memory.
struct RunningFileSums: ~Copyable {
    private var checksum = RunningStableHash()
    private var digest: ContentScanner

    /// - Parameter countsRecipient: whether the same message for somebody else has another digest.
    init(countsRecipient: Bool = false) { digest = ContentScanner(countsRecipient: countsRecipient) }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        checksum.update(bytes)
        digest.add(bytes)
    }

    mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { add($0) } }

    consuming func finish() -> FileSums {
        let checksum = checksum.value
        return FileSums(checksum: checksum, digest: digest.finish())
    }
}
