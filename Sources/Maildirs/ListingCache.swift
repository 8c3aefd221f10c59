import Synchronization

/// Keeps listings with the stamps that prove them, up to a bound in bytes.
final class ListingCache: Sendable {
    struct Kept: Sendable {
        let snapshot: MaildropSnapshot
        let seen: SeenStamps
        /// Whether equal stamps prove that nothing changed. The tombstones hold in any case.
        let isProvable: Bool
        let tombstones: TombstoneIndex
        /// The foreign messages, whose files prove nothing by their directories' stamps.
        let measured: [MeasuredFile]

        /// Whether the mailbox is provably as it was, as far as its directories' stamps alone prove it.
        func matches(_ stamps: DirectoryStamps) -> Bool {
            isProvable && stamps == seen.stamps && !measured.contains(where: \.isYoung)
        }

        /// Whether the mailbox is provably as it was.
        func matches(_ mailbox: OpenFile, _ core: StoreCore) throws(MaildirError) -> Bool {
            guard isProvable, try core.stamps(of: mailbox) == seen.stamps else { return false }
            return measured.allSatisfy { file in
                !file.isYoung
                    || file.isUnchanged(snapshot.path(at: file.index), in: mailbox, isRemote: seen.stamps.isRemote)
            }
        }
    }

    private let kept: Mutex<LRUCache<MailboxFolder, Kept>>

    init(bytesMax: Int) { kept = Mutex(LRUCache(costMax: bytesMax)) }

    func find(_ folder: MailboxFolder) -> Kept? { kept.withLock { $0.value(for: folder) } }

    func keep(_ listing: Kept, for folder: MailboxFolder) {
        let measured = listing.measured.capacity * MemoryLayout<MeasuredFile>.stride
        let cost = listing.snapshot.bytes + listing.tombstones.bytes + measured + folder.path.utf8.count + 256
        kept.withLock { $0.insert(listing, for: folder, cost: cost) }
    }
}

/// The sizes that a kept listing knows, so that each foreign file is read once.
struct KnownSizes {
    private let snapshot: MaildropSnapshot?
    private var files: [UInt64: MeasuredFile] = [:]

    init(_ kept: ListingCache.Kept?) {
        snapshot = kept?.snapshot
        guard let kept else { return }
        files.reserveCapacity(kept.measured.count)
        for file in kept.measured { files[file.stamp.inode] = file }
    }

    /// The octets of the message if its file is the one that was measured.
    func octets(of identity: [UInt8], _ stamp: FileStamp) -> Int? {
        guard let snapshot, let file = files[stamp.inode], file.stamp == stamp,
            snapshot.identity(at: file.index) == identity
        else { return nil }
        return snapshot.octets(at: file.index)
    }
}
