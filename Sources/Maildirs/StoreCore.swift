import Synchronization

/// What all operations of one store share.
final class StoreCore: Sendable {
    let root: StoreRoot
    let options: StoreOptions
    let names = UniqueNames()
    let folders: DeliveryFolders
    let listings: ListingCache
    let sizes = ForeignSizes()
    let deliveries: WorkerPool
    let readers: WorkerPool
    let isShutDown = Atomic<Bool>(false)
    /// Names in mailboxes that cannot be a message's (control characters in them), met since the start.
    let oddNames = Atomic<Int>(0)

    init(root: StoreRoot, options: StoreOptions) throws(MaildirError) {
        self.root = root
        self.options = options
        folders = DeliveryFolders(max: options.openMailboxesMax)
        listings = ListingCache(bytesMax: options.listingCacheBytes)
        deliveries = WorkerPool(name: "maildir-write", threads: options.deliveryThreads)
        readers = WorkerPool(name: "maildir-read", threads: options.readingThreads)
    }

    /// The folders that hold mailboxes: this node's own, and those that wait for other nodes.
    func tops() throws(MaildirError) -> [String] {
        [MailboxFolder.mail] + (try Handoff.targets(self)).map { MailboxFolder.top($0) }
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

    private func run<Value>(
        on pool: WorkerPool, then: @escaping @Sendable (Result<Value, MaildirError>) -> Void,
        _ work: @escaping @Sendable () throws(MaildirError) -> Value
    ) {
        let isAccepted = !isShutDown.load(ordering: .relaxed) && pool.submit { then(Result(catching: work)) }
        if !isAccepted { then(.failure(.shutDown)) }
    }
}
