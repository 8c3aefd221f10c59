package import Cluster
import Glibc
package import Mail

/// What a node remembers of other sites, whatever becomes of its process.
package struct SiteState: Hashable, Sendable {
    /// Since when nothing is carried there, in seconds since 1970; nil if something is.
    package var paused: Int64?
    /// Since when something may be here that the site has not, and that does not wait for it, in seconds since 1970; nil if
    /// there is nothing.
    package var needsSync: Int64?

    package init() {}
}

extension MaildirStore {
    /// How it stands with a site.
    package func state(
        ofSite site: SpoolTarget, then: @escaping @Sendable (Result<SiteState, MaildirError>) -> Void
    ) {
        core.read(then: then) { [core] () throws(MaildirError) in
            let marks = SiteMarks(site: site, core: core)
            var state = SiteState()
            state.paused = try marks.time(of: .paused)
            state.needsSync = try marks.needsSync()
            return state
        }
    }

    /// How full a site's spool is; nil if it has no bound.
    package func gauge(ofSite site: SpoolTarget) -> SpoolGauge? { core.gauges[site] }

    /// Counts what waits for a site in the next mailboxes, so that what is believed of it stays true.
    ///
    /// - Parameters:
    ///   - last: the answer before; nil to begin.
    ///   - then: told the last mailbox that was counted in; nil if that was all.
    package func countWaiting(
        forSite site: SpoolTarget, after last: MailboxKey?, mailboxes: Int,
        then: @escaping @Sendable (Result<MailboxKey?, MaildirError>) -> Void
    ) {
        core.read(then: then) { [core] () throws(MaildirError) in
            try SpoolCount(target: site, core: core).count(after: last, mailboxes: mailboxes)
        }
    }

    /// Remembers that nothing is to be carried to a site, or that something is again. What comes for it waits.
    package func setPaused(
        _ isPaused: Bool, forSite site: SpoolTarget, then: @escaping @Sendable (Result<Void, MaildirError>) -> Void
    ) {
        core.write(then: then) { [core] () throws(MaildirError) in
            let marks = SiteMarks(site: site, core: core)
            if isPaused { try marks.set(.paused) } else { try marks.clear(.paused) }
        }
    }

    // MARK: - comparing with a site

    /// A comparison with a site begins. What is left out of the site's spool from now on, another one must find.
    ///
    /// - Parameter token: its name, which is greater than those of all before it; such as names of sites are.
    package func beginSync(
        withSite site: SpoolTarget, token: String, then: @escaping @Sendable (Result<Void, MaildirError>) -> Void
    ) {
        core.write(then: then) { [core] () throws(MaildirError) in
            guard SitePath.isName(token) else { throw .failed(operation: "begin", path: token, errno: EINVAL) }
            try SiteMarks(site: site, core: core).beginSync(token)
        }
    }

    /// A comparison is over, and everything that the site lacked waits for it, or is there.
    package func endSync(
        withSite site: SpoolTarget, token: String, then: @escaping @Sendable (Result<Void, MaildirError>) -> Void
    ) {
        core.write(then: then) { [core] () throws(MaildirError) in
            guard SitePath.isName(token) else { throw .failed(operation: "end", path: token, errno: EINVAL) }
            try SiteMarks(site: site, core: core).endSync(token)
        }
    }

    /// Has what a site lacks wait for it, durably, without a second copy of its bytes. What was deleted meanwhile does not.
    ///
    /// - Parameters:
    ///   - indices: messages of the snapshot.
    ///   - tombstones: of the snapshot's mailbox, by their names.
    ///   - then: told how many files came to wait.
    package func spool(
        messages indices: [Int], tombstones: [MessageIdentity], of snapshot: MaildropSnapshot,
        forSite site: SpoolTarget, then: @escaping @Sendable (Result<Int, MaildirError>) -> Void
    ) {
        let key = snapshot.key
        core.remove(then: then) { [core] () throws(MaildirError) in
            try Handoff(key: key, target: site, core: core).fill(
                messages: indices, tombstones: tombstones, of: snapshot)
        }
    }

    /// Which of these names a mailbox lacks: it has no such message or tombstone, and did not delete such a message. What it
    /// does not lack, it has or has deleted for good.
    package func lacks(
        _ names: [MessageIdentity], in mailbox: MailboxName, partition: Int,
        then: @escaping @Sendable (Result<[Bool], MaildirError>) -> Void
    ) {
        check(partition, mailbox)
        let folder = MailboxFolder(mailbox, partition: partition)
        core.remove(then: then) { [core] () throws(MaildirError) in
            try core.root.withDirectory { root throws(MaildirError) in
                guard let opened = try folder.openIfThere(in: root) else { return names.map { _ in true } }
                return try NameSearch(folder: folder, mailbox: opened, core: core).lacks(names)
            }
        }
    }
}
