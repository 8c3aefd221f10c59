import Cluster
import Mail

/// Brings what waits in one mailbox on a node for another site there, as the real one's `SiteDrain` does.
final class SiteDrain {
    private let node: StorageNode
    private let mailbox: Int
    private let peer: Int
    private let spool: SimulatedMaildir
    private let own: SimulatedMaildir
    private let then: (Bool) -> Void
    private var listing: MaildirListing
    private var known: MaildirListing
    private var taken: [String] = []
    private var isWhole = true

    private static let lateAfter: Int64 = 60

    /// - Parameter then: told whether nothing waits on.
    init(_ node: StorageNode, _ mailbox: Int, to peer: Int, then: @escaping (Bool) -> Void) {
        self.node = node
        self.mailbox = mailbox
        self.peer = peer
        self.then = then
        spool = node.disk.maildir(mailbox, forSite: peer)
        own = node.disk.maildir(mailbox, heldFor: nil)
        listing = node.list(spool)
        known = node.list(own)
    }

    func run() {
        if listing.messages.isEmpty, listing.tombstones.isEmpty { return then(true) }
        let all = listing
        listing = MaildirListing(
            messages: all.messages.filter(isDue), shown: [], tombstones: all.tombstones.filter(isDue))
        if listing.messages.isEmpty, listing.tombstones.isEmpty { return then(false) }
        isWhole =
            listing.messages.count == all.messages.count && listing.tombstones.count == all.tombstones.count
        makeDurable { [self] in makeSure(listing.tombstones[...]) }
    }

    private var bug: PlantedBug? { node.world.bug }

    /// All if this node is the first owner that is there, otherwise what the first one should have carried by now.
    private var isDue: (String) -> Bool {
        let owners = node.ring.owners(ofPartition: node.world.partitions[mailbox]).map(Int.init)
        let first = owners.first { $0 == node.index || node.isReachable($0) }
        if first == node.index || first == nil { return { _ in true } }
        let limit = node.wallSeconds - Self.lateAfter
        return { name in MintedName.seconds(of: name).map { $0 < limit } ?? true }
    }

    /// What the mailbox seems to have may not have been synced yet by whoever made it.
    private func makeDurable(_ next: @escaping () -> Void) {
        if bug == .carriedTooSoon { return next() }
        syncOwn { [self] isDurable in
            if isDurable { next() } else { then(false) }
        }
    }

    /// Whoever put these tombstones into the spool may have died before the mailbox had them, and before other sites' spools.
    private func makeSure(_ tombstones: ArraySlice<String>) {
        guard let name = tombstones.first else { return carry(listing.tombstones[...]) }
        guard bug != .deletionNotRestored, !known.tombstones.contains(name), let lines = spool.gone.entries[name]?.lines
        else { return makeSure(tombstones.dropFirst()) }
        node.step(.restore, after: 0) { [self] in
            node.take(tombstone: name, of: lines, to: own, spools(at: .origin)) { [self] isKept in
                if isKept { makeSure(tombstones.dropFirst()) } else { then(false) }
            }
        }
    }

    // MARK: carrying

    private func carry(_ tombstones: ArraySlice<String>) {
        guard let name = tombstones.first else { return carryMessages() }
        guard let lines = spool.gone.entries[name]?.lines else { return carry(tombstones.dropFirst()) }
        // A spool does not say where a tombstone has been.
        send(.tombstone(lines), named: name, at: .origin) { [self] verdict in
            guard verdict.isAccepted else {
                isWhole = false
                return carryMessages()
            }
            taken.append(name)
            carry(tombstones.dropFirst())
        }
    }

    private func carryMessages() {
        let countdown = Countdown(listing.messages.count) { [self] in release(taken[...]) }
        for name in listing.messages {
            guard let file = spool.new.entries[name] else {
                countdown.done()
                continue
            }
            if bug == .siteReleasedEarly { spool.new.unlink(name) }
            restore(name, file) { [self] isRestored in
                guard isRestored, let content = file.content else {
                    isWhole = false
                    return countdown.done()
                }
                let path = bug == .noSitePath ? SitePath.origin : SpooledName.path(of: name)
                send(.copy(content), named: SpooledName.identity(of: name), at: path) { [self] verdict in
                    if verdict.isAccepted { taken.append(name) } else { isWhole = false }
                    countdown.done()
                }
            }
        }
    }

    /// Where something that this spool has belongs too, before the mailbox shows it.
    private func spools(at path: SitePath) -> SiteSpools {
        bug == .restoredTooSoon ? SiteSpools() : SiteSpools(node, mailbox, at: path)
    }

    /// Whoever delivered it may have died before the mailbox had it, and before other sites' spools.
    private func restore(_ name: String, _ file: SimulatedFile, then: @escaping (Bool) -> Void) {
        let identity = SpooledName.identity(of: name)
        if known.messages.contains(identity) || bug == .notRestored { return then(true) }
        node.diskStep(.restore) { [self] in
            if own.knows(identity, text: file.text) { return syncOwn(then) }
            node.spool(file, named: identity, spools(at: SpooledName.path(of: name))) { [self] isSpooled in
                guard isSpooled else { return then(false) }
                node.diskStep(.restore) { [self] in
                    own.new.link(identity, file)
                    syncOwn(then)
                }
            }
        }
    }

    private func syncOwn(_ then: @escaping (Bool) -> Void) {
        node.diskStep(.syncFolder) { [self] in
            guard node.syncs("a mailbox") else { return then(false) }
            own.syncAll()
            then(true)
        }
    }

    private func send(
        _ cargo: Cargo, named name: String, at path: SitePath, then: @escaping (Verdict) -> Void
    ) {
        let site = node.world.sites[peer]
        let frontend = node.world.random.pick(site.frontends)
        let path = path.adding(node.site.name)
        node.step(.carrySpooled, after: 0) { [self] in
            node.note("carries \(name) to \(site.name) at \(path.text)")
            node.ask(frontend, timeout: node.scenario.timeout, repeats: true) {
                [mailbox] (_, reply: @escaping (Verdict) -> Void) in
                frontend.receive(cargo, named: name, of: mailbox, at: path, reply: reply)
            } then: { [self] verdict in
                if verdict == .accepted { node.world.carried(name, of: mailbox, from: node.site, to: site) }
                then(verdict ?? StorageNode.deferred)
            }
        }
    }

    // MARK: letting go

    private func release(_ names: ArraySlice<String>) {
        guard let name = names.first else {
            tellOthers(taken.map(SpooledName.identity))
            return then(isWhole)
        }
        node.diskStep(.releaseSpooled) { [self] in
            spool.new.unlink(name)
            spool.gone.unlink(name)
            release(names.dropFirst())
        }
    }

    /// What is not heard costs a journey in vain.
    private func tellOthers(_ names: [String]) {
        let owners = node.ring.owners(ofPartition: node.world.partitions[mailbox]).map(Int.init)
        for owner in owners where owner != node.index && node.isReachable(owner) { tell(owner, names[...]) }
    }

    private func tell(_ owner: Int, _ names: ArraySlice<String>) {
        guard let name = names.first else { return }
        node.carry(.release(site: peer), named: name, of: mailbox, to: owner) { [self] in
            if $0.isAccepted { tell(owner, names.dropFirst()) }
        }
    }
}

extension StorageNode {
    /// Lets go of what a site was given by another node.
    func release(_ name: String, of mailbox: Int, forSite site: Int, then: @escaping (Bool) -> Void) {
        let spool = disk.maildir(mailbox, forSite: site)
        diskStep(.releaseSpooled) {
            if let found = spool.new.names.first(where: { SpooledName.identity(of: $0) == name }) {
                spool.new.unlink(found)
            }
            spool.gone.unlink(name)
            then(true)
        }
    }
}

/// The loop of a node that brings another site what waits for it.
final class SiteLoop {
    private let node: StorageNode
    private let peer: Int
    private var failed: Set<Int> = []
    private var nextRetry: SimulatedTime = 0
    private var nextWalk: SimulatedTime = 0

    private static let interval = SimulatedTime.milliseconds(250)
    private static let retryDelay = SimulatedTime.seconds(2)
    private static let walkInterval = SimulatedTime.seconds(300)

    init(_ node: StorageNode, to peer: Int) { (self.node, self.peer) = (node, peer) }

    func start() { node.after(node.world.random.between(0, Self.interval)) { [self] in go() } }

    private func go() {
        let now = node.world.now
        var mailboxes = node.spooled.removeValue(forKey: peer) ?? []
        if now >= nextRetry {
            mailboxes.formUnion(failed)
            failed = []
            nextRetry = now + Self.retryDelay
        }
        if now >= nextWalk {
            mailboxes.formUnion(node.disk.mailboxes(forSite: peer))
            nextWalk = now + Self.walkInterval
        }
        let countdown = Countdown(mailboxes.count) { [self] in node.after(Self.interval) { [self] in go() } }
        for mailbox in mailboxes.sorted() {
            SiteDrain(node, mailbox, to: peer) { [self] isDone in
                if !isDone { failed.insert(mailbox) }
                countdown.done()
            }.run()
        }
    }
}
