import FileTimes

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
    private let isCurSettled: Bool
    /// It was read while another one was young, so that what is in neither did not just slip through.
    private let isSecond: Bool

    init(of mailbox: OpenFile, _ core: StoreCore, after last: MessageMap?) throws(MaildirError) {
        let start = FileTime.coarse()
        readAt = MonotonicTime.now()
        isSecond = last.map { [readAt] in readAt - $0.readAt < core.options.mapLifetime } ?? false
        stamps = try core.stamps(of: mailbox)
        let margin = core.options.clockMargin
        isSettled = !stamps.isRemote && stamps.areSettled(at: start, margin: margin)
        isCurSettled = !stamps.isRemote && stamps.isCurSettled(at: start, margin: margin)
        var (slots, names): ([Slot], [UInt8]) = ([], [])
        try MailboxScan(mailbox: mailbox, core: core).forEachFile { identity, part, name in
            guard let offset = UInt32(exactly: names.count), let length = UInt8(exactly: name.count) else { return }
            slots.append(Slot(hash: Self.hash(identity), offset: offset, length: length, isInCur: part == "cur"))
            names.append(contentsOf: name)
        }
        slots.sort { $0.hash < $1.hash }
        (self.slots, self.names) = (slots, names)
    }

    var isRemote: Bool { stamps.isRemote }
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
        if isSecond, MonotonicTime.now() - readAt < core.options.mapLifetime { return true }
        guard isSettled else { return false }
        return try core.stamps(of: mailbox) == stamps
    }

    /// What else the mailbox may hold than what this shows.
    enum Rest {
        case nothing
        /// What deliveries linked into `new/` since it was read, less than the lifetime ago.
        case deliveries
        case anything
    }

    func rest(of mailbox: OpenFile, _ core: StoreCore) throws(MaildirError) -> Rest {
        let now = try core.stamps(of: mailbox)
        if isSettled, now == stamps { return .nothing }
        // What is moved to cur/ changes it.
        let isYoung = MonotonicTime.now() - readAt < core.options.mapLifetime
        return isYoung && isCurSettled && now.differsOnlyInNew(from: stamps) ? .deliveries : .anything
    }

    private static func hash(_ identity: UnsafeRawBufferPointer) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(bytes: identity)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
