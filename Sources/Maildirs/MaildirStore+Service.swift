import FileTimes
import Glibc
import Mail

/// What a node needs to know of its store before it serves, and to walk over it.
extension MaildirStore {
    /// How long ago the store was last in service; nil if it never was. Blocks.
    package func timeOutOfService() throws(MaildirError) -> Duration? {
        try Heartbeat(root: core.root.directory).age(at: core.serverTime())
    }

    /// Says that the store is in service now.
    package func beat(then: @escaping @Sendable (Result<Void, MaildirError>) -> Void) {
        core.write(then: then) { [core] () throws(MaildirError) in
            try core.root.withDirectory { root throws(MaildirError) in try Heartbeat(root: root).beat() }
        }
    }

    /// The next mailboxes of this node, in the order of their folders.
    ///
    /// - Parameters:
    ///   - partition: where to begin; nil for the first.
    ///   - last: the last one of the answer before; nil to begin.
    ///   - count: the most to tell.
    package func mailboxes(
        from partition: Int? = nil, after last: MailboxKey?, count: Int,
        then: @escaping @Sendable (Result<MailboxPage, MaildirError>) -> Void
    ) {
        let start =
            last.map { MailboxFolder($0.mailbox, partition: $0.partition).path }
            ?? partition.map { "\(MailboxFolder.mail)/\($0)" }
        core.read(then: then) { [core] () throws(MaildirError) in
            try StoreWalk(core: core, start: start).page(count: count)
        }
    }

    /// Puts a store's mail aside and makes it one that never was in service, so that its node can start with nothing and
    /// have everything brought by the other owners. The old mail stays under the name that is returned. Blocks.
    package static func putAside(
        root: String, cluster: String, node: String, partitions: Int
    ) throws(MaildirError) -> String {
        let marker = try StoreMarker(cluster: cluster, node: node, partitions: partitions)
        let directory = try StoreRoot(path: root, marker: marker).directory
        let aside = "\(MailboxFolder.mail).before-\(FileTime.now().seconds)"
        if renameat(directory.descriptor, MailboxFolder.mail, directory.descriptor, aside) != 0, errno != ENOENT {
            throw .failed("rename", MailboxFolder.mail)
        }
        if unlinkat(directory.descriptor, Heartbeat.fileName, 0) != 0, errno != ENOENT {
            throw .failed("unlink", Heartbeat.fileName)
        }
        try directory.sync(root)
        return "\(root)/\(aside)"
    }
}
