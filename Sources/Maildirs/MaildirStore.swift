import FileTimes
import Glibc
package import Mail
import Synchronization

/// The mailboxes of one storage node: the only thing that opens message files.
///
/// Nothing here blocks its caller: work is done on the store's own threads, and `then` is called there. Two stores, in two
/// processes or on two hosts, may serve one root at the same time.
package final class MaildirStore: Sendable {
    let core: StoreCore
    private let queue: DeliveryQueue

    /// Makes the root (not its parents) and its marker file, both durable. Does nothing if they are there already; refuses
    /// the root of another cluster or node. Blocks.
    package static func initialize(
        root: String, cluster: String, node: String, partitions: Int
    ) throws(MaildirError) {
        let marker = try StoreMarker(cluster: cluster, node: node, partitions: partitions)
        if mkdir(root, 0o700) == 0 {
            chmod(root, 0o700)
        } else if errno != EEXIST {
            throw .failed("mkdir", root)
        }
        let directory = try StoreRoot.openRoot(root)
        try syncParents(of: directory, root)
        do throws(MaildirError) {
            return try marker.check(in: directory, root: root)
        } catch .noMarker {
            try marker.write(in: directory)
        }
        try marker.check(in: directory, root: root)
    }

    /// Whoever made the root or the way to it may not have synced it. Stops at the file system's own root, and at folders
    /// that are not ours to read: those are older than us.
    private static func syncParents(of directory: OpenFile, _ root: String) throws(MaildirError) {
        var (child, status) = (directory, try directory.status())
        while true {
            let parent: OpenFile
            do throws(MaildirError) {
                parent = try OpenFile.openDirectory("..", in: child.descriptor)
            } catch {
                if error.errorNumber == EACCES { return }
                throw error
            }
            let above = try parent.status()
            if above.st_dev != status.st_dev || above.st_ino == status.st_ino { return }
            try parent.sync("above \(root)")
            (child, status) = (parent, above)
        }
    }

    /// Opens a root that `initialize` made, and tries what the file system can do. Blocks.
    package init(
        root: String, cluster: String, node: String, partitions: Int, options: StoreOptions = StoreOptions()
    ) throws(MaildirError) {
        let marker = try StoreMarker(cluster: cluster, node: node, partitions: partitions)
        let root = try StoreRoot(path: root, marker: marker)
        try FileSystemProbe.run(root: root.path, in: root.directory, faults: options.faults)
        core = try StoreCore(root: root, partitions: partitions, options: options)
        queue = DeliveryQueue(core: core)
    }

    deinit {
        core.isShutDown.store(true, ordering: .relaxed)
        core.deliveries.stop()
        core.removals.stop()
        core.readers.stop()
    }

    /// Finishes what was begun, and refuses everything else with `.shutDown`. Blocks; not to be called from a callback.
    package func shutdown() {
        core.isShutDown.store(true, ordering: .relaxed)
        core.deliveries.shutdown()
        core.removals.shutdown()
        core.readers.shutdown()
    }

    /// Names in `new/` and `cur/` that were left out since the start, because they cannot be a message's or be read.
    package var skippedNames: Int { core.oddNames.load(ordering: .relaxed) }

    /// Begins a message.
    ///
    /// - Parameter mayBeRepeat: this identity may have been delivered before: look for it (and for its tombstone) first.
    package func writer(
        identity: MessageIdentity, mayBeRepeat: Bool, recipients: [DeliveryRecipient]
    ) -> MessageWriter {
        for recipient in recipients { check(recipient.partition, recipient.mailbox) }
        return MessageWriter(
            core: core, queue: queue, identity: identity, mayBeRepeat: mayBeRepeat, recipients: recipients)
    }

    /// Lists a mailbox, or what waits in it for another node. One that nothing was delivered to yet is empty.
    package func open(
        _ mailbox: MailboxName, partition: Int, heldFor target: SpoolTarget? = nil,
        then: @escaping @Sendable (Result<MaildropSnapshot, MaildirError>) -> Void
    ) {
        check(partition, mailbox)
        let key = MailboxKey(mailbox: mailbox, partition: partition)
        core.read(then: then) { [core] () throws(MaildirError) in
            try Listing.snapshot(of: key, heldFor: target, core: core)
        }
    }

    /// The same without waiting for a disk: nil if it is not known so whether the mailbox is as it was, and it is to be listed
    /// in the usual way.
    package func openCached(_ mailbox: MailboxName, partition: Int) -> MaildropSnapshot? {
        check(partition, mailbox)
        let folder = MailboxFolder(mailbox, partition: partition)
        guard let kept = core.listings.find(folder),
            let stamps = DirectoryStamps(ofCached: folder, in: core.root.directory, core.cachedReads),
            kept.matches(stamps)
        else { return nil }
        return kept.snapshot
    }

    /// Whether nothing waits here for anybody, as far as it is known without waiting for a disk: false if it is not.
    package var holdsNothing: Bool {
        switch core.cachedReads.folder(MailboxFolder.spool, in: core.root.directory) {
        case .notThere: true
        // A folder's links are its own two and one from each folder in it, where a file system counts them.
        case .there(let status): status.st_nlink == 2
        case .unknown: false
        }
    }

    /// Lists a mailbox for another node, which may give up there what it sees here: all of it is durable before it is told.
    package func openDurably(
        _ mailbox: MailboxName, partition: Int,
        then: @escaping @Sendable (Result<MaildropSnapshot, MaildirError>) -> Void
    ) {
        check(partition, mailbox)
        let key = MailboxKey(mailbox: mailbox, partition: partition)
        core.remove(then: then) { [core] () throws(MaildirError) in
            let snapshot = try Listing.snapshot(of: key, heldFor: nil, core: core)
            if snapshot.isEmpty { return snapshot }
            try core.root.withDirectory { root throws(MaildirError) in
                try MailboxFolder.syncNames(in: core.folders.make(snapshot.folder, in: root), core)
            }
            return snapshot
        }
    }

    /// Opens one message of a snapshot, wherever another tool has moved it. Nil: it is gone.
    ///
    /// - Parameter comparison: how far it is compared with what its name promises; the last piece of a damaged file is an error.
    package func read(
        _ index: Int, of snapshot: MaildropSnapshot, comparing comparison: CopyComparison = .none,
        then: @escaping @Sendable (Result<MessageReader?, MaildirError>) -> Void
    ) {
        core.read(then: then) { [core] () throws(MaildirError) in
            try core.root.withDirectory { root throws(MaildirError) in
                let path = snapshot.path(at: index)
                guard let mailbox = try snapshot.folder.openIfThere(in: root),
                    let file = try snapshot.moved.open(
                        path, identity: snapshot.identity(at: index), in: mailbox, core)
                else { return nil }
                return try MessageReader(
                    file: file, path: path, check: CopyCheck(path: path, comparison), core: core)
            }
        }
    }

    /// The same without waiting for a disk: nil if the message is not in memory, or not where the snapshot has it, and is to be
    /// read in the usual way.
    ///
    /// - Parameter folder: the mailbox's, if it is open.
    package func readCached(
        _ index: Int, of snapshot: MaildropSnapshot, in folder: OpenMailbox? = nil,
        comparing comparison: CopyComparison = .none
    ) -> MessageReader? {
        let path = folder == nil ? snapshot.fullPath(at: index) : snapshot.path(at: index)
        return core.cachedReads.open(path, in: folder?.place ?? core.root.directory).flatMap { file in
            MessageReader(
                cached: file, promised: snapshot.diskOctets(at: index), path: path,
                check: CopyCheck(path: path, comparison), core: core)
        }
    }

    /// A mailbox's folder for `readCached`, which finds the next messages sooner in there; nil if that is not in memory.
    package func openMailbox(of snapshot: MaildropSnapshot) -> OpenMailbox? {
        core.cachedReads.place(snapshot.folder.path, in: core.root.directory).map(OpenMailbox.init)
    }

    /// Deletes messages of a snapshot for good: success means that they never come back here, whatever crashes. Files that
    /// could not be removed yet are hidden, and removed by a later listing.
    ///
    /// - Parameter sites: those that are to hear of it.
    package func delete(
        _ indices: [Int], of snapshot: MaildropSnapshot, sites: SiteSpools = SiteSpools(),
        then: @escaping @Sendable (Result<DeletionOutcome, MaildirError>) -> Void
    ) {
        core.remove(then: then) { [core] () throws(MaildirError) in
            try Deletion.delete(indices, of: snapshot, sites: sites, core: core)
        }
    }

    /// Removes files that nobody touched in `tmp/` for `age`, in all mailboxes, without haste. Ages are by the file system's
    /// clock; `.clockChanged` if it was set, and nothing removed.
    package func cleanTmp(
        olderThan age: Duration = .seconds(36 * 3600),
        then: @escaping @Sendable (Result<MaintenanceReport, MaildirError>) -> Void
    ) {
        core.read(then: then) { [core] () throws(MaildirError) in try TmpCleaner(core: core, age: age).clean() }
    }

    /// Removes the folders of mailboxes in which nothing waits for a node any more, and nothing has changed for `age`, without
    /// haste; `.clockChanged` as with `cleanTmp`.
    package func removeEmptied(
        olderThan age: Duration, then: @escaping @Sendable (Result<MaintenanceReport, MaildirError>) -> Void
    ) {
        core.read(then: then) { [core] () throws(MaildirError) in try EmptiedFolders(core: core, age: age).remove() }
    }

    /// Removes tombstones older than the grace time and the resend window together, in all mailboxes, without haste: none that
    /// is to be kept (see `forget(onlyBefore:)`). A mailbox whose deleted messages cannot all be removed keeps its tombstones,
    /// and is told in the report; `.clockChanged` as with `cleanTmp`.
    package func expireTombstones(
        olderThan grace: Duration, then: @escaping @Sendable (Result<MaintenanceReport, MaildirError>) -> Void
    ) {
        core.read(then: then) { [core] () throws(MaildirError) in
            try TombstoneExpiry(core: core, grace: grace).expire()
        }
    }

    /// From now on no tombstone is forgotten that was made later, in seconds since 1970: other nodes may not have heard of it.
    /// A store that was never told forgets by age only.
    package func forget(onlyBefore seconds: Int64) { core.keptSince.store(seconds, ordering: .relaxed) }

    /// What was made before it is old enough to be forgotten, by this host's clock, in seconds since 1970; `.clockChanged` while
    /// that is in doubt.
    package func forgettingLimit() throws(MaildirError) -> Int64 {
        try core.ages.localLimit(core, age: core.options.tombstoneAge).seconds
    }

    func check(_ partition: Int, _ mailbox: MailboxName) {
        let all = core.partitions
        precondition((0..<all).contains(partition), "\(mailbox): no partition \(partition) of \(all)")
    }
}

/// The folder of a mailbox whose messages are read in turn.
package struct OpenMailbox: Sendable {
    let place: OpenFile
}
