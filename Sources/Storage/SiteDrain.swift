import Cluster
import Glibc
import Logging
import Mail
import Maildirs
import Membership

/// Brings what waits on this node for another site there, as soon as it takes it.
///
/// Every owner of a mailbox keeps the same for the site, and the first of them that is there carries it; the others are told
/// to let it go. Where that is not heard, it goes there again, and its name makes that harmless.
struct SiteDrain {
    let replicator: Replicator
    let site: SiteLink
    let target: SpoolTarget

    private static let interval = Duration.milliseconds(100)
    private static let retryDelay = Duration.seconds(2)
    private static let walkInterval = Duration.seconds(300)
    /// An owner that is not the first waits so long before it carries what the first has not.
    private static let lateAfter = Duration.seconds(60)
    private static let mailboxesPerStep = 64
    private static let mailboxesAtOnce = 16
    private static let inFlightMax = 32

    /// Runs until it is cancelled.
    func run() async {
        let clock = ContinuousClock()
        var failed: Set<MailboxKey> = []
        var nextRetry = clock.now
        var nextWalk = clock.now
        while !Task.isCancelled {
            var keys = replicator.takeSpooled(for: target)
            if clock.now >= nextRetry {
                keys.formUnion(failed)
                failed = []
                nextRetry = clock.now + Self.retryDelay
            }
            failed.formUnion(await drain(keys))
            if clock.now >= nextWalk {
                failed.formUnion(await walk())
                nextWalk = clock.now + Self.walkInterval
            }
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Everything that waits, whoever put it there: another process may serve the same store, and this one was away.
    private func walk() async -> Set<MailboxKey> {
        var failed: Set<MailboxKey> = []
        var last: MailboxKey?
        while !Task.isCancelled,
            let keys = try? await replicator.store.mailboxes(
                heldFor: target, after: last, count: Self.mailboxesPerStep),
            !keys.isEmpty
        {
            failed.formUnion(await drain(Set(keys)))
            last = keys.last
        }
        return failed
    }

    /// Those of which something waits on.
    private func drain(_ keys: Set<MailboxKey>) async -> Set<MailboxKey> {
        guard !keys.isEmpty else { return [] }
        return await withTaskGroup(of: MailboxKey?.self) { group in
            var failed: Set<MailboxKey> = []
            var running = 0
            for key in keys {
                if running >= Self.mailboxesAtOnce, let outcome = await group.next() {
                    running -= 1
                    if let outcome { failed.insert(outcome) }
                }
                group.addTask { await drain(key) ? nil : key }
                running += 1
            }
            for await outcome in group { if let outcome { failed.insert(outcome) } }
            return failed
        }
    }

    /// Whether nothing of it waits on.
    private func drain(_ key: MailboxKey) async -> Bool {
        do throws(MaildirError) {
            let snapshot = try await replicator.store.snapshot(of: key, heldFor: target)
            if snapshot.isEmpty { return true }
            let isDue = dueNames(of: key)
            let messages = (0..<snapshot.count).filter { isDue(snapshot.uidl(at: $0)) }
            let tombstones = snapshot.tombstoneNames.filter(isDue)
            let isAll = messages.count == snapshot.count && tombstones.count == snapshot.tombstoneNames.count
            if messages.isEmpty, tombstones.isEmpty { return false }
            let own = try await replicator.store.snapshot(of: key)
            let known = Set((0..<own.count).map(own.uidl))
            var carriage = SpoolCarriage(
                snapshot: snapshot, taker: site, store: replicator.store, log: replicator.log,
                inFlightMax: Self.inFlightMax)
            carriage.prepare = { [replicator, target] index throws(MaildirError) in
                if known.contains(snapshot.uidl(at: index)) { return }
                try await replicator.store.restore(index, of: snapshot, heldFor: target)
            }
            try await makeSure(of: tombstones.filter { !own.tombstoneNames.contains($0) }, in: snapshot, key)
            let (takenTombstones, areTombstonesWhole) = try await carriage.carry(tombstones)
            let (takenMessages, areMessagesWhole) = await carriage.carry(messages)
            try await replicator.store.letGo(messages: takenMessages, tombstones: takenTombstones, of: snapshot)
            tellOthers(takenMessages.compactMap { MessageIdentity(snapshot.uidl(at: $0)) } + takenTombstones, of: key)
            return areTombstonesWhole && areMessagesWhole && isAll
        } catch {
            replicator.log.error(
                "site", metadata: ["site": "\(site.settings.name)", "mailbox": "\(key.mailbox)", "reason": "\(error)"])
            return false
        }
    }

    /// Whoever put these tombstones into the spool may have died before the mailbox had them.
    private func makeSure(
        of tombstones: [String], in snapshot: MaildropSnapshot, _ key: MailboxKey
    ) async throws(MaildirError) {
        for name in tombstones.compactMap({ MessageIdentity($0) }) {
            guard let tombstone = try await replicator.store.tombstone(name, in: snapshot) else { continue }
            try await replicator.store.take(tombstone, for: key)
        }
    }

    /// Which names this node is to carry now: all if it is the first owner that is there, otherwise those that the first one
    /// should have carried by now.
    private func dueNames(of key: MailboxKey) -> (String) -> Bool {
        let peers = replicator.peers
        let owners = peers.map.ring.owners(ofPartition: key.partition)
        let first = owners.first { $0 == peers.own || peers.isReachable($0) }
        if first == peers.own || first == nil { return { _ in true } }
        let limit = Int64(time(nil)) - Self.lateAfter.components.seconds
        // Names begin with the second in which they were made.
        return { name in Int64(name.prefix { $0.isASCII && $0.isNumber }).map { $0 < limit } ?? true }
    }

    /// The other owners keep it too, and need not any more. What is not heard costs a journey in vain.
    private func tellOthers(_ names: [MessageIdentity], of key: MailboxKey) {
        for peer in replicator.peers.owners(of: key.mailbox) where peer.isReachable {
            Task {
                for name in names {
                    guard
                        await peer.carry(
                            .release(name), of: key.mailbox, heldFor: Sites.mark + target.name
                        ).isAccepted
                    else { return }
                }
            }
        }
    }
}
