import FileTimes
import Synchronization

/// Keeps maps of mailboxes for those who ask whether messages are there, and what is known of their tombstones, up to a bound in
/// bytes; and what this store linked since a map was read.
final class MailboxMaps: Sendable {
    private enum Key: Hashable {
        case map(MailboxFolder)
        case tombstones(MailboxFolder)
    }

    private enum Kept: Sendable {
        case map(MessageMap)
        case tombstones(TombstoneIndex)
    }

    private let kept: Mutex<LRUCache<Key, Kept>>
    private let linked: Mutex<RecentNames>

    init(bytesMax: Int, lifetime: Duration) {
        kept = Mutex(LRUCache(costMax: bytesMax))
        linked = Mutex(RecentNames(lifetime: lifetime * 2))
    }

    func find(_ folder: MailboxFolder) -> MessageMap? {
        guard case .map(let map) = kept.withLock({ $0.value(for: .map(folder)) }) else { return nil }
        return map
    }

    func keep(_ map: MessageMap, for folder: MailboxFolder) {
        let cost = map.bytes + folder.path.utf8.count + 256
        kept.withLock { $0.insert(.map(map), for: .map(folder), cost: cost) }
    }

    /// To be updated from the mailbox before it is asked.
    func tombstones(of folder: MailboxFolder) -> TombstoneIndex? {
        guard case .tombstones(let index) = kept.withLock({ $0.value(for: .tombstones(folder)) }) else { return nil }
        return index
    }

    func keep(_ index: TombstoneIndex, for folder: MailboxFolder) {
        let cost = index.bytes + folder.path.utf8.count + 256
        kept.withLock { $0.insert(.tombstones(index), for: .tombstones(folder), cost: cost) }
    }

    /// A message of this name is linked next.
    func willLink(_ identity: [UInt8], to folder: MailboxFolder) {
        let hash = Self.hash(identity, folder)
        linked.withLock { $0.insert(hash, at: MonotonicTime.now()) }
    }

    /// Those of the names that were linked while the youngest map may have been read or later, and by chance others.
    func linked(of identities: Set<[UInt8]>, to folder: MailboxFolder) -> Set<[UInt8]> {
        linked.withLock { linked in identities.filter { linked.mayContain(Self.hash($0, folder)) } }
    }

    private static func hash(_ identity: [UInt8], _ folder: MailboxFolder) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(folder)
        hasher.combine(identity)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}

/// Hashes of names, each kept for the lifetime at least.
private struct RecentNames {
    let lifetime: Duration
    private var current: Set<UInt64> = []
    private var previous: Set<UInt64> = []
    private var began = Duration.zero

    init(lifetime: Duration) { self.lifetime = lifetime }

    mutating func insert(_ hash: UInt64, at now: Duration) {
        if now - began >= lifetime {
            previous = now - began < lifetime * 2 ? current : []
            current.removeAll(keepingCapacity: true)
            began = now
        }
        current.insert(hash)
    }

    func mayContain(_ hash: UInt64) -> Bool { current.contains(hash) || previous.contains(hash) }
}
