import FileTimes
import Glibc
import Synchronization

/// What all operations of one store share.
final class StoreCore: Sendable {
    let root: StoreRoot
    let options: StoreOptions
    /// How many there are in the cluster: no folder of another number is the store's.
    let partitions: Int
    let names = UniqueNames()
    let folders: DeliveryFolders
    let listings: ListingCache
    let maps: MailboxMaps
    let ages = AgeClocks()
    let gauges: SpoolGauges
    let cachedReads: CachedReads
    /// Marks of sites that this process knows to be durable.
    let marks = DurableMarks()
    let deliveries: WorkerPool
    let removals: WorkerPool
    let readers: WorkerPool
    /// Whether the file system can rename without replacing, as far as is known.
    let canMove: Atomic<Bool>
    let isShutDown = Atomic<Bool>(false)
    /// No tombstone is forgotten that was made later, in seconds since 1970, however old it is.
    let keptSince = Atomic<Int64>(.max)
    /// Names in mailboxes that cannot be a message's or be read, met since the start.
    let oddNames = Atomic<Int>(0)

    init(root: StoreRoot, partitions: Int, options: StoreOptions) throws(MaildirError) {
        self.root = root
        self.partitions = partitions
        self.options = options
        canMove = Atomic(options.renames)
        folders = DeliveryFolders(max: options.openMailboxesMax)
        gauges = SpoolGauges(options.spoolFilesMax)
        cachedReads = CachedReads(root: root.directory, options: options)
        listings = ListingCache(bytesMax: options.listingCacheBytes - options.listingCacheBytes / 4)
        maps = MailboxMaps(bytesMax: options.listingCacheBytes / 4, lifetime: options.mapLifetime)
        deliveries = WorkerPool(name: "maildir-write", threads: options.deliveryThreads)
        removals = WorkerPool(name: "maildir-gone", threads: options.removalThreads)
        readers = WorkerPool(name: "maildir-read", threads: options.readingThreads)
        // From now on a jump of a clock is noticed. On a full disk the first round begins it.
        _ = try? ages.limit(self, age: .zero)
        _ = try? ages.localLimit(self, age: .zero)
    }

    /// What tombstones were made before, in seconds since 1970, that may be forgotten of those made before `limit`.
    func forgets(before limit: FileTime) -> Int64 { min(limit.seconds, keptSince.load(ordering: .relaxed)) }

    /// The folders that hold mailboxes: this node's own, and those that wait for other nodes.
    func tops() throws(MaildirError) -> [String] {
        [MailboxFolder.mail] + (try Handoff.targets(self)).map { MailboxFolder.top($0) }
    }

    /// The same of what waits for other sites. Tombstones stay there until they were taken, however old they are.
    func siteTops() throws(MaildirError) -> [String] {
        try Handoff.targets(self, .site).map { MailboxFolder.top($0) }
    }

    /// Has `work` done on a reading thread, and its outcome told to `then` there; or tells at once that the store is shut down.
    func read<Value>(
        then: @escaping @Sendable (Result<Value, MaildirError>) -> Void,
        _ work: @escaping @Sendable () throws(MaildirError) -> Value
    ) {
        run(on: readers, then: then, work)
    }

    /// The same on a delivering thread.
    func write<Value>(
        then: @escaping @Sendable (Result<Value, MaildirError>) -> Void,
        _ work: @escaping @Sendable () throws(MaildirError) -> Value
    ) {
        run(on: deliveries, then: then, work)
    }

    /// The same on a thread for deletions.
    func remove<Value>(
        then: @escaping @Sendable (Result<Value, MaildirError>) -> Void,
        _ work: @escaping @Sendable () throws(MaildirError) -> Value
    ) {
        run(on: removals, then: then, work)
    }

    private func run<Value>(
        on pool: WorkerPool, then: @escaping @Sendable (Result<Value, MaildirError>) -> Void,
        _ work: @escaping @Sendable () throws(MaildirError) -> Value
    ) {
        let isAccepted = !isShutDown.load(ordering: .relaxed) && pool.submit { then(Result(catching: work)) }
        if !isAccepted { then(.failure(.shutDown)) }
    }
}

// MARK: - the file system

extension StoreCore {
    /// Opens a directory to read its names; nil if it is not there.
    func directory(_ path: String, in parent: OpenFile) throws(MaildirError) -> OpenDirectory? {
        try options.faults?.check(.list, path)
        return try ifThere { () throws(MaildirError) in try OpenDirectory(path, in: parent) }
    }

    func stamps(of mailbox: OpenFile) throws(MaildirError) -> DirectoryStamps {
        try DirectoryStamps(of: mailbox, isRemote: options.isRemote)
    }

    /// Opens a message; nil if it is not there.
    func message(_ path: [UInt8], in mailbox: OpenFile) throws(MaildirError) -> OpenFile? {
        if let faults = options.faults { try faults.check(.open, String(decoding: path, as: UTF8.self)) }
        return try ifThere { () throws(MaildirError) in
            try withPath(path) { pointer throws(MaildirError) in
                try OpenFile.open(pointer, in: mailbox.descriptor)
            }
        }
    }

    /// Removes a message's file. 0, or the errno.
    func unlink(_ path: [UInt8], in mailbox: OpenFile) -> Int32 {
        if let faults = options.faults,
            case .fail(let number) = faults.decide(.unlink, String(decoding: path, as: UTF8.self))
        {
            return number
        }
        let number = try? withPath(path) { unlinkat(mailbox.descriptor, $0, 0) == 0 ? 0 : errno }
        return number ?? EINVAL
    }

    /// The time that the file system gives a file written now: this host's clock may be wrong, and would then take files that
    /// are being written for old ones.
    func serverTime() throws(MaildirError) -> FileTime {
        if let time = options.serverTime { return time() }
        let root = root.directory
        let name = "\(StoreLeftovers.clock)\(getpid())-\(UInt64.random(in: .min ... .max))"
        let file = try OpenFile.open(name, in: root.descriptor, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        defer { unlinkat(root.descriptor, name, 0) }
        // Until it is written, an NFS server may keep an exclusive create's verifier in the file's times (RFC 7530 §16.16).
        // On a full disk it cannot be; there the time of its creation has to do.
        try? file.write([UInt8(ascii: "\n")], name: name)
        return FileTime(try file.status().st_mtim)
    }
}
