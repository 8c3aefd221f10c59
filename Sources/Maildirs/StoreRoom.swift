import Glibc
import Mail

/// Gives up what other nodes own now.
extension MaildirStore {
    /// The partitions that have a folder here, in order.
    package func partitions(then: @escaping @Sendable (Result<[Int], MaildirError>) -> Void) {
        core.read(then: then) { [core] () throws(MaildirError) in
            try core.root.withDirectory { root throws(MaildirError) in
                try StoreWalk.folders(in: MailboxFolder.mail, root, core)
                    .compactMap { StoreWalk.partition($0, core) }.sorted()
            }
        }
    }

    /// The next mailboxes of one partition, in the order of their folders.
    ///
    /// - Parameters:
    ///   - last: the last one of the answer before; nil to begin.
    ///   - count: the most to tell.
    package func mailboxes(
        ofPartition partition: Int, after last: MailboxKey?, count: Int,
        then: @escaping @Sendable (Result<MailboxPage, MaildirError>) -> Void
    ) {
        let start = last.map { MailboxFolder($0.mailbox, partition: $0.partition).path }
        core.read(then: then) { [core] () throws(MaildirError) in
            guard (0..<core.partitions).contains(partition) else { return MailboxPage() }
            let walk = StoreWalk(core: core, top: "\(MailboxFolder.mail)/\(partition)", levels: 2, start: start)
            return try walk.page(count: count)
        }
    }

    /// Removes what a snapshot shows and nothing that came since, then the mailbox's folders as far as they are empty.
    ///
    /// Nothing is synced: what a power cut brings back is looked at again, and is with its owners.
    ///
    /// - Parameter then: told whether nothing is left. What came since may be, or what cannot be read and so is in no snapshot.
    package func purge(
        _ snapshot: MaildropSnapshot, then: @escaping @Sendable (Result<Bool, MaildirError>) -> Void
    ) {
        core.remove(then: then) { [core] () throws(MaildirError) in
            let tombstones = snapshot.tombstoneNames.compactMap { MessageIdentity($0) }
            try Handoff.release(Array(0..<snapshot.count), tombstones, of: snapshot, core: core)
            return try core.root.withDirectory { root throws(MaildirError) in
                try snapshot.folder.removeEmpty(in: root)
                guard let rest = try snapshot.folder.openIfThere(in: root) else { return true }
                return try !Handoff.isWaiting(in: rest, core)
            }
        }
    }
}
