import Cluster
import Glibc
import Hops
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
    private let mender: CopyMender
    let site: SiteLink
    let target: SpoolTarget
    private let refusals = SiteRefusals()

    init(replicator: Replicator, mender: CopyMender, site: SiteLink, target: SpoolTarget) {
        self.replicator = replicator
        self.mender = mender
        self.site = site
        self.target = target
    }

    private static let interval = Duration.milliseconds(100)
    /// Another process that serves the same store may have been told.
    private static let lookInterval = Duration.seconds(1)
    private static let walkInterval = Duration.seconds(300)
    private static let mailboxesAtOnce = 16
    /// Found by the walk, and not begun: enough until it goes on.
    private static let mailboxesAheadMax = 256
    /// Of one mailbox, before what was carried is let go.
    private static let messagesPerPiece = 1024
    /// Of one mailbox: as much as fills a line of a tenth of a second, if it is the only one.
    private static let inFlightMax = 256
    /// What all mailboxes together may hold in memory is bounded by the link.
    private static let octetsInFlightMax = 4 << 20

    private enum Event: Sendable {
        case tick
        case ended(MailboxKey, SiteRetries.Outcome)
    }

    /// What is to be drained, as far as is known.
    private struct Work {
        var queue = DrainQueue<MailboxKey>()
        var retries = SiteRetries()
        var walk = Walk(next: .now)
        var nextLook = ContinuousClock.now
    }

    /// Runs until it is cancelled. Whatever takes long in one mailbox, the others go on.
    func run() async {
        var work = Work()
        await withTaskGroup(of: Event.self) { group in
            group.addTask { .tick }
            for await event in group {
                if case .ended(let key, let outcome) = event {
                    work.queue.ended(key)
                    work.retries.note(outcome, of: key, .now, seconds: Int64(time(nil)))
                }
                if Task.isCancelled { continue }
                if case .tick = event {
                    let isWalking = await look(&work)
                    group.addTask {
                        if !isWalking { try? await Task.sleep(for: Self.interval) }
                        return .tick
                    }
                }
                while work.queue.running < Self.mailboxesAtOnce, let key = work.queue.next() {
                    let since = work.retries.since(key) ?? Int64(time(nil))
                    group.addTask { .ended(key, await drain(key, waitingSince: since)) }
                }
            }
        }
    }

    /// Looks for what is to be drained. Whether the walk goes on at once.
    private func look(_ work: inout Work) async -> Bool {
        let now = ContinuousClock.now
        if work.nextLook <= now {
            let wasPaused = site.isPaused
            await lookForPause()
            // More may wait than was remembered meanwhile.
            if wasPaused, !site.isPaused { work.walk = Walk(next: now) }
            work.nextLook = now + Self.lookInterval
        }
        work.queue.came(replicator.takeSpooled(for: target))
        if site.isReachable { work.queue.found(work.retries.due(now)) }
        // A step at a time, so that what comes meanwhile does not wait behind all that is there.
        guard work.walk.next <= now, work.queue.count < Self.mailboxesAheadMax else { return false }
        let found = await step(&work.walk)
        work.queue.found(found.filter { !work.retries.isWaiting($0, now) })
        return work.walk.isUnderWay
    }

    private func lookForPause() async {
        do throws(MaildirError) {
            site.isPaused = try await replicator.store.state(of: target).paused != nil
        } catch {
            replicator.log.error("site", metadata: ["site": "\(target.name)", "reason": "\(error)"])
        }
    }

    /// A walk through everything that waits, whoever put it there: another process may serve the same store, and this one was
    /// away.
    private struct Walk {
        var next: ContinuousClock.Instant
        var pages: MailboxPages?
        var isUnderWay: Bool { pages != nil }
    }

    /// The next mailboxes in which something waits.
    private func step(_ walk: inout Walk) async -> [MailboxKey] {
        var pages = walk.pages ?? replicator.store.pages(heldFor: target)
        guard let page = await pages.next() else {
            walk = Walk(next: .now + Self.walkInterval)
            return []
        }
        walk.pages = pages
        if let failure = page.failure, failure != .shutDown {
            replicator.log.error(
                "a folder is not carried to the site", metadata: ["site": "\(target.name)", "reason": "\(failure)"])
        }
        return page.keys
    }

    private func drain(_ key: MailboxKey, waitingSince since: Int64) async -> SiteRetries.Outcome {
        guard site.isReachable else { return .deferred }
        do throws(MaildirError) {
            let snapshot = try await replicator.store.snapshot(of: key, heldFor: target)
            if snapshot.isEmpty {
                refusals.set([], of: key)
                return .done
            }
            let isDue = dueNames(of: key, waitingSince: since)
            let messages = (0..<snapshot.count).filter { isDue(snapshot.uidl(at: $0)) }
            let tombstones = snapshot.tombstoneNames.filter(isDue)
            let isAll = messages.count == snapshot.count && tombstones.count == snapshot.tombstoneNames.count
            if messages.isEmpty, tombstones.isEmpty { return .deferred }
            var carriage = SpoolCarriage(
                snapshot: snapshot, taker: site, store: replicator.store, log: replicator.log,
                inFlightMax: Self.inFlightMax, octetsInFlightMax: Self.octetsInFlightMax,
                known: refusals.known(of: key))
            carriage.mend = mender.mending(snapshot, heldFor: target)
            if replicator.peers.owns(partition: key.partition) {
                // The spool lets go of what it carried, so the mailbox must have it for good.
                let own = try await replicator.store.durableSnapshot(of: key)
                let known = Set((0..<own.count).map(own.uidl))
                carriage.prepare = { [replicator, target] index throws(MaildirError) in
                    if known.contains(snapshot.uidl(at: index)) { return }
                    let sites = replicator.sites.spools(key.mailbox, at: snapshot.sitePath(at: index))
                    if try await replicator.store.restore(index, of: snapshot, heldFor: target, sites: sites) {
                        replicator.noteSpooled(key, for: sites)
                    }
                }
                try await makeSure(of: tombstones.filter { !own.tombstoneNames.contains($0) }, in: snapshot, key)
            }
            let (takenTombstones, refusedTombstones, areTombstonesWhole) = try await carriage.carry(tombstones)
            try await letGo([], takenTombstones, of: snapshot)
            var (refused, isWhole) = (refusedTombstones, areTombstonesWhole)
            var rest = messages[...]
            // What was carried of many is let go while the others are: it would go again after a restart.
            while isWhole, !rest.isEmpty {
                let (takenMessages, refusedMessages, areMessagesWhole) = await carriage.carry(
                    Array(rest.prefix(Self.messagesPerPiece)))
                try await letGo(takenMessages, [], of: snapshot)
                refused += refusedMessages
                isWhole = areMessagesWhole
                rest = rest.dropFirst(Self.messagesPerPiece)
            }
            guard isWhole, isAll else {
                refusals.add(refused, of: key)
                return .deferred
            }
            refusals.set(refused, of: key)
            return refused.isEmpty ? .done : .refused
        } catch {
            replicator.log.error(
                "site", metadata: ["site": "\(site.settings.name)", "mailbox": "\(key.mailbox)", "reason": "\(error)"])
            return .deferred
        }
    }

    /// The site has it, and nobody need keep it any more.
    private func letGo(
        _ messages: [Int], _ tombstones: [MessageIdentity], of snapshot: MaildropSnapshot
    ) async throws(MaildirError) {
        if messages.isEmpty, tombstones.isEmpty { return }
        try await replicator.store.letGo(messages: messages, tombstones: tombstones, of: snapshot)
        tellOthers(
            messages.compactMap { MessageIdentity(snapshot.uidl(at: $0)) } + tombstones,
            of: snapshot.key)
    }

    /// Whoever put these tombstones into the spool may have died before the mailbox had them.
    private func makeSure(
        of tombstones: [String], in snapshot: MaildropSnapshot, _ key: MailboxKey
    ) async throws(MaildirError) {
        for name in tombstones.compactMap({ MessageIdentity($0) }) {
            guard let tombstone = try await replicator.store.tombstone(name, in: snapshot) else { continue }
            let sites = replicator.sites.spools(key.mailbox, at: .origin)
            try await replicator.store.take(tombstone, for: key, sites: sites)
            replicator.noteSpooled(key, for: sites)
        }
    }

    /// Which names this node is to carry now: all if it is the first owner that is there, otherwise those that the first one
    /// should have carried by now.
    ///
    /// A name tells when the message was made, which may be long before it came here from another site.
    private func dueNames(of key: MailboxKey, waitingSince since: Int64) -> (String) -> Bool {
        let peers = replicator.peers
        let owners = peers.map.ring.owners(ofPartition: key.partition)
        let first = owners.first { $0 == peers.own || peers.isReachable($0) }
        if first == peers.own || first == nil { return { _ in true } }
        let late = replicator.lateCarriage(to: target)
        let now = Int64(time(nil))
        return { name in late.isLate(birth: max(since, Self.seconds(name) ?? since), now: now) }
    }

    /// What waits for the site here; counting stops at a bound.
    func status() async -> SiteStatus {
        var status = SiteStatus(name: target.name)
        (status.succeeded, status.error) = site.lastOutcomes
        status.error = status.error ?? refusals.summary
        let state = try? await replicator.store.state(of: target)
        (status.paused, status.needsSync) = (state?.paused, state?.needsSync)
        if let gauge = replicator.store.gauge(ofSite: target) {
            (status.files, status.filesMax) = (gauge.count, gauge.max)
        }
        var pages = replicator.store.pages(heldFor: target)
        var mailboxes = 0
        while mailboxes < Self.countedMax, let page = await pages.next() {
            // What cannot be looked at may wait.
            if page.failure != nil { status.messages += 1 }
            mailboxes += page.keys.count
            for key in page.keys { await count(key, in: &status) }
        }
        return status
    }

    private func count(_ key: MailboxKey, in status: inout SiteStatus) async {
        guard let waiting = try? await replicator.store.snapshot(of: key, heldFor: target) else {
            status.messages += 1
            return
        }
        status.messages += waiting.count
        status.tombstones += waiting.tombstoneNames.count
        status.octets += waiting.octets
        if let oldest = waiting.oldest { status.oldest = min(status.oldest ?? oldest, oldest) }
    }

    private static let countedMax = 10_000

    /// Names begin with the second in which they were made.
    private static func seconds(_ name: String) -> Int64? { Int64(name.prefix { $0.isASCII && $0.isNumber }) }

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
