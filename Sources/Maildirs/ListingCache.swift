import Synchronization

/// Keeps listings with the stamps that prove them, up to a bound in bytes.
final class ListingCache: Sendable {
    struct Kept: Sendable {
        let snapshot: MaildropSnapshot
        let stamps: DirectoryStamps
        /// Whether equal stamps prove that nothing changed. The tombstones hold in any case.
        let isProvable: Bool
        let tombstones: TombstoneIndex
    }

    private let kept: Mutex<LRUCache<MailboxFolder, Kept>>

    init(bytesMax: Int) { kept = Mutex(LRUCache(costMax: bytesMax)) }

    func find(_ folder: MailboxFolder) -> Kept? { kept.withLock { $0.value(for: folder) } }

    func keep(_ listing: Kept, for folder: MailboxFolder) {
        let cost = listing.snapshot.bytes + listing.tombstones.bytes + folder.path.utf8.count + 256
        kept.withLock { $0.insert(listing, for: folder, cost: cost) }
    }
}

/// Sizes of messages whose names do not tell them, so that each foreign file is read once.
final class ForeignSizes: Sendable {
    struct Key: Hashable, Sendable {
        let stem: [UInt8]
        let inode: UInt64
        let size: Int64
        let modified: FileTime
    }

    private let sizes = Mutex(LRUCache<Key, Int>(costMax: 8 << 20))

    func find(_ key: Key) -> Int? { sizes.withLock { $0.value(for: key) } }

    func keep(_ octets: Int, for key: Key) {
        sizes.withLock { $0.insert(octets, for: key, cost: key.stem.count + 192) }
    }
}
