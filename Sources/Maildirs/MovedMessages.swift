import Glibc
import Synchronization

/// Where the messages of a snapshot are after another tool moved or flagged them. The directories are read when a message
/// is missed, and not for each: what they showed serves the next ones.
final class MovedMessages: Sendable {
    private let known = Mutex<MessageMap?>(nil)

    /// How often a file may move away between finding and opening it.
    private static let movesMax = 8

    /// What it costs to keep.
    var bytes: Int { known.withLock { $0?.bytes ?? 0 } }

    /// The message at `path`, or wherever it is now; nil if it is in neither `new/` nor `cur/`.
    func open(
        _ path: [UInt8], identity: [UInt8], in mailbox: OpenFile, _ core: StoreCore
    ) throws(MaildirError) -> OpenFile? {
        if let file = try core.message(path, in: mailbox) { return file }
        var map = known.withLock { $0 }
        for _ in 0..<Self.movesMax {
            if let path = map?.path(of: identity) {
                if let file = try core.message(path, in: mailbox) { return file }
            } else if let map, try map.isFinal(for: mailbox, core) {
                return nil
            }
            let fresh = try MessageMap(of: mailbox, core, after: map)
            map = fresh
            known.withLock { $0 = fresh }
        }
        return nil
    }
}

/// The paths of a mailbox's messages as they were when the directories were read.
struct MessageMap: Sendable {
    private struct Slot: Sendable {
        let hash: UInt64
        let offset: UInt32
        let length: UInt8
        let isInCur: Bool
    }

    private var slots: [Slot] = []
    private var names: [UInt8] = []
    private let readAt: Duration
    private let stamps: DirectoryStamps
    private let isSettled: Bool
    /// It was read while another one was young, so that what is in neither did not just slip through.
    private let isSecond: Bool

    /// How long a miss stays final in a mailbox that changes all the time: so often, at most, the directories are read for
    /// messages that are gone.
    private static let lifetime = Duration.seconds(1)

    init(of mailbox: OpenFile, _ core: StoreCore, after last: MessageMap?) throws(MaildirError) {
        let start = FileTime.coarse()
        readAt = MonotonicTime.now()
        isSecond = last.map { [readAt] in readAt - $0.readAt < Self.lifetime } ?? false
        stamps = try core.stamps(of: mailbox)
        isSettled = !stamps.isRemote && stamps.areSettled(at: start, margin: core.options.clockMargin)
        var (slots, names): ([Slot], [UInt8]) = ([], [])
        try MailboxScan(mailbox: mailbox, core: core).forEachFile { identity, part, name in
            guard let offset = UInt32(exactly: names.count), let length = UInt8(exactly: name.count) else { return }
            slots.append(Slot(hash: Self.hash(identity), offset: offset, length: length, isInCur: part == "cur"))
            names.append(contentsOf: name)
        }
        slots.sort { $0.hash < $1.hash }
        (self.slots, self.names) = (slots, names)
    }

    var bytes: Int { names.capacity + slots.capacity * MemoryLayout<Slot>.stride }

    func path(of identity: [UInt8]) -> [UInt8]? {
        let hash = identity.withUnsafeBytes(Self.hash)
        var (low, high) = (0, slots.count)
        while low < high {
            let middle = (low + high) / 2
            if slots[middle].hash < hash { low = middle + 1 } else { high = middle }
        }
        while low < slots.count, slots[low].hash == hash {
            let name = names[Int(slots[low].offset)...].prefix(Int(slots[low].length))
            if name.withUnsafeBytes({ StemIdentity.bytes(ofName: $0) == identity }) {
                return Array((slots[low].isInCur ? "cur/" : "new/").utf8) + name
            }
            low += 1
        }
        return nil
    }

    /// Whether what it does not show is gone.
    func isFinal(for mailbox: OpenFile, _ core: StoreCore) throws(MaildirError) -> Bool {
        if isSecond, MonotonicTime.now() - readAt < Self.lifetime { return true }
        guard isSettled else { return false }
        return try core.stamps(of: mailbox) == stamps
    }

    private static func hash(_ identity: UnsafeRawBufferPointer) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(bytes: identity)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
