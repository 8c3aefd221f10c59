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

    /// What became of a mailbox.
    private enum Outcome {
        /// Nothing of it waits on.
        case done
        case deferred
        /// The site refuses some of it: it may have no such account yet.
        case refused
    }

    /// The mailboxes that are to be tried again, and when.
    private struct Retries {
        private var times: [MailboxKey: (next: ContinuousClock.Instant, refusals: Int)] = [:]

        mutating func takeDue(_ now: ContinuousClock.Instant) -> Set<MailboxKey> {
            Set(times.filter { $0.value.next <= now }.keys)
        }

        mutating func note(_ outcome: Outcome, of key: MailboxKey, _ now: ContinuousClock.Instant) {
            // What does not fit is found by the next walk.
            guard times[key] != nil || times.count < Replicator.spooledMax || outcome == .done else { return }
            switch outcome {
            case .done: times[key] = nil
            case .deferred: times[key] = (now + SiteDrain.retryDelay, 0)
            case .refused:
                let refusals = (times[key]?.refusals ?? 0) + 1
                let delay = min(SiteDrain.retryDelay * (1 << min(refusals, 10)), SiteDrain.walkInterval)
                times[key] = (now + delay, refusals)
            }
        }

        func isWaiting(_ key: MailboxKey, _ now: ContinuousClock.Instant) -> Bool {
            times[key].map { $0.next > now } ?? false
        }
    }

    /// Runs until it is cancelled.
    func run() async {
        let clock = ContinuousClock()
        var retries = Retries()
        var nextWalk = clock.now
        while !Task.isCancelled {
            await drain(replicator.takeSpooled(for: target).union(retries.takeDue(clock.now)), &retries)
            if clock.now >= nextWalk {
                await walk(&retries)
                nextWalk = clock.now + Self.walkInterval
            }
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Everything that waits, whoever put it there: another process may serve the same store, and this one was away.
    private func walk(_ retries: inout Retries) async {
        var last: MailboxKey?
        while !Task.isCancelled,
            let keys = try? await replicator.store.mailboxes(
                heldFor: target, after: last, count: Self.mailboxesPerStep), !keys.isEmpty
        {
            await drain(Set(keys), &retries)
            last = keys.last
        }
    }

    private func drain(_ keys: Set<MailboxKey>, _ retries: inout Retries) async {
        let clock = ContinuousClock()
        await withTaskGroup(of: (MailboxKey, Outcome).self) { group in
            var running = 0
            for key in keys where !retries.isWaiting(key, clock.now) {
                if running >= Self.mailboxesAtOnce, let (key, outcome) = await group.next() {
                    running -= 1
                    retries.note(outcome, of: key, clock.now)
                }
                group.addTask { (key, await drain(key)) }
                running += 1
            }
            for await (key, outcome) in group { retries.note(outcome, of: key, clock.now) }
        }
    }

    private func drain(_ key: MailboxKey) async -> Outcome {
        guard site.isReachable else { return .deferred }
        do throws(MaildirError) {
            let snapshot = try await replicator.store.snapshot(of: key, heldFor: target)
            if snapshot.isEmpty { return .done }
            let isDue = dueNames(of: key)
            let messages = (0..<snapshot.count).filter { isDue(snapshot.uidl(at: $0)) }
            let tombstones = snapshot.tombstoneNames.filter(isDue)
            let isAll = messages.count == snapshot.count && tombstones.count == snapshot.tombstoneNames.count
            if messages.isEmpty, tombstones.isEmpty { return .deferred }
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
            let (takenMessages, refused, areMessagesWhole) = await carriage.carry(messages)
            try await replicator.store.letGo(messages: takenMessages, tombstones: takenTombstones, of: snapshot)
            tellOthers(takenMessages.compactMap { MessageIdentity(snapshot.uidl(at: $0)) } + takenTombstones, of: key)
            guard areTombstonesWhole, areMessagesWhole, isAll else { return .deferred }
            return refused == 0 ? .done : .refused
        } catch {
            replicator.log.error(
                "site", metadata: ["site": "\(site.settings.name)", "mailbox": "\(key.mailbox)", "reason": "\(error)"])
            return .deferred
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
        return { name in Self.seconds(name).map { $0 < limit } ?? true }
    }

    /// What waits for the site here; counting stops at a bound.
    func status() async -> SiteStatus {
        var status = SiteStatus(name: target.name)
        (status.succeeded, status.error) = site.lastOutcomes
        let keys = try? await replicator.store.mailboxes(heldFor: target, after: nil, count: Self.countedMax)
        for key in keys ?? [] {
            guard let waiting = try? await replicator.store.snapshot(of: key, heldFor: target) else { continue }
            status.messages += waiting.count
            status.tombstones += waiting.tombstoneNames.count
            status.octets += waiting.octets
            let names = (waiting.count > 0 ? [waiting.uidl(at: 0)] : []) + waiting.tombstoneNames
            for seconds in names.compactMap(Self.seconds) { status.oldest = min(status.oldest ?? seconds, seconds) }
        }
        return status
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
