import Cluster
import FileTimes
import Mail

/// What is remembered of `gone/`, so that it need not be read again, as its files never change: which file may name a message.
/// It goes by hashes, which only hint.
struct TombstoneIndex: Sendable {
    /// The files that are there, and were read, with their numbers.
    private var files: [[UInt8]: UInt32] = [:]
    private var names: [UInt32: [UInt8]] = [:]
    private var lastNumber: UInt32 = 0
    /// By an identity's hash or a content's: the first file that has it, and the others. Of files that are gone some are left.
    private var first: [UInt64: UInt32] = [:]
    private var others: [UInt64: [UInt32]] = [:]

    var isEmpty: Bool { first.isEmpty }
    var bytes: Int { files.count * 256 + first.count * 24 + others.count * 96 }

    /// Reads the files that are new, and forgets those that are gone. Whether there were any.
    @discardableResult
    mutating func update(from mailbox: OpenFile, _ core: StoreCore) throws(MaildirError) -> Bool {
        var present: Set<[UInt8]> = []
        var hasChanged = false
        try Tombstones.forEachFile(in: mailbox) { name throws(MaildirError) in
            present.insert(name)
            if files[name] != nil { return }
            if try add(name, in: mailbox, core) { hasChanged = true }
        }
        for (name, number) in files where !present.contains(name) {
            files[name] = nil
            names[number] = nil
            hasChanged = true
        }
        return hasChanged
    }

    /// Whether the file was there.
    private mutating func add(
        _ name: [UInt8], in mailbox: OpenFile, _ core: StoreCore
    ) throws(MaildirError) -> Bool {
        var hashes: Set<UInt64> = []
        let isThere = try Tombstones.forEachLine(of: name, in: mailbox, core) { line in
            hashes.insert(Self.hash(line.identity))
            if let digest = line.digest { hashes.insert(Self.hash(digest)) }
        }
        guard isThere else { return false }
        lastNumber += 1
        for hash in hashes {
            // The number of a file that is gone is of no use.
            if let number = first[hash], names[number] != nil {
                others[hash, default: []].append(lastNumber)
            } else {
                first[hash] = lastNumber
            }
        }
        files[name] = lastNumber
        names[lastNumber] = name
        return true
    }

    /// The names of the files that were made since then, in seconds since 1970, in their order.
    func names(since limit: Int64) -> [[UInt8]] {
        files.keys.filter { name in
            name.withUnsafeBytes { (MessageNameBytes($0)?.seconds).map { $0 >= limit } ?? true }
        }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// True for every identity that is tombstoned, and by chance for another.
    func mayContain(_ identity: ArraySlice<UInt8>) -> Bool { first[Self.hash(identity)] != nil }

    /// The same of what has this content as a deleted message.
    func mayContain(_ digest: ContentDigest) -> Bool { first[Self.hash(digest)] != nil }

    /// All files that name it, and by chance others.
    func files(of identity: ArraySlice<UInt8>) -> [[UInt8]] { files(Self.hash(identity)) }

    /// All files that name a message with this content, and by chance others.
    func files(of digest: ContentDigest) -> [[UInt8]] { files(Self.hash(digest)) }

    private func files(_ hash: UInt64) -> [[UInt8]] {
        guard let number = first[hash] else { return [] }
        return ([number] + (others[hash] ?? [])).compactMap { names[$0] }
    }

    private static func hash(_ digest: ContentDigest) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(digest)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    private static func hash(_ identity: ArraySlice<UInt8>) -> UInt64 {
        var hasher = Hasher()
        identity.withUnsafeBytes { hasher.combine(bytes: $0) }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
