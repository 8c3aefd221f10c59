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
    ///
    /// What waits for other sites is put aside too: other owners have carried it, and it may have been deleted there since. Those
    /// sites are marked, because something may wait nowhere else. What waits for other nodes stays.
    package static func putAside(
        root: String, cluster: String, node: String, partitions: Int
    ) throws(MaildirError) -> String {
        let store = try MaildirStore(root: root, cluster: cluster, node: node, partitions: partitions)
        defer { store.shutdown() }
        let directory = store.core.root.directory
        let suffix = "before-\(FileTime.now().seconds)"
        try putSiteSpoolsAside(to: "\(MailboxFolder.spool).\(suffix)", store.core)
        let aside = "\(MailboxFolder.mail).\(suffix)"
        if renameat(directory.descriptor, MailboxFolder.mail, directory.descriptor, aside) != 0, errno != ENOENT {
            throw .failed("rename", MailboxFolder.mail)
        }
        if unlinkat(directory.descriptor, Heartbeat.fileName, 0) != 0, errno != ENOENT {
            throw .failed("unlink", Heartbeat.fileName)
        }
        try directory.sync(root)
        return "\(root)/\(aside)"
    }

    private static func putSiteSpoolsAside(to aside: String, _ core: StoreCore) throws(MaildirError) {
        let root = core.root.directory
        for site in try Handoff.targets(core, .site) {
            guard try Handoff.mayWait(for: site, core) else { continue }
            try SiteMarks(site: site, core: core).set(.needsSync)
            guard mkdirat(root.descriptor, aside, 0o700) == 0 || errno == EEXIST else { throw .failed("mkdir", aside) }
            let name = "\(aside)/\(site.folder)"
            guard renameat(root.descriptor, MailboxFolder.top(site), root.descriptor, name) == 0 else {
                throw .failed("rename", name)
            }
            for folder in [aside, MailboxFolder.spool] {
                try OpenFile.openDirectory(folder, in: root.descriptor).sync(folder)
            }
        }
    }
}
