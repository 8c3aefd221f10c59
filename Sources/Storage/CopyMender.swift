import Cluster
import CoreMetrics
import Hops
import Logging
import Mail
import Maildirs
import Membership
import POP3
import Synchronization

/// Compares this node's copies of messages with what their names promise, and puts other owners' good copies in the place of
/// damaged ones, which go into quarantine.
final class CopyMender: Sendable {
    /// What became of a copy that is not what its name promises.
    enum Outcome: Sendable {
        /// It is now, or is gone.
        case mended
        /// No owner has a good one: it is given as it is, but to no other node.
        case left
        /// Another owner may have a good one, and does not give it now.
        case later
    }

    /// A message of which this node's copy could not be read as its name promises.
    struct Suspect: Hashable, Sendable {
        let key: MailboxKey
        /// For whom it is kept; nil for one of this node's own.
        var target: SpoolTarget?
        let uidl: String
    }

    /// What is known of a copy that was found damaged.
    enum Knowledge: Sendable {
        /// Another owner may have a good one.
        case damaged
        case left
    }

    private enum Known {
        case damaged(since: ContinuousClock.Instant)
        case left(until: ContinuousClock.Instant)
    }

    private struct State {
        var running: [Suspect: Task<Outcome, Never>] = [:]
        var known: [Suspect: Known] = [:]
    }

    private let replicator: Replicator
    private let state = Mutex(State())
    /// Whether anything is known: sessions ask for each message.
    private let hasKnown = Atomic(false)

    /// What is looked at together.
    private static let runningMax = 16
    /// What is forgotten is found again.
    private static let knownMax = 1_000
    /// How long it is believed that no owner has a good copy: one may be given one, or be found that was not asked.
    private static let leftTime = Duration.seconds(3600)
    /// How long an owner that lacks the message may yet be brought it, by a node that keeps it for him.
    private static let lackingTime = Duration.seconds(300)

    init(_ replicator: Replicator) { self.replicator = replicator }

    // MARK: suspects

    /// Nil of nearly all.
    func knowledge(of suspect: @autoclosure () -> Suspect) -> Knowledge? {
        guard hasKnown.load(ordering: .relaxed) else { return nil }
        let suspect = suspect()
        switch state.withLock({ $0.known[suspect] }) {
        case nil: return nil
        case .left(let until)? where .now < until: return .left
        case .left?, .damaged?: return .damaged
        }
    }

    /// A copy was read to its end, and is not what its name promises.
    func noteDamaged(_ suspect: Suspect) { note(.damaged(since: .now), of: suspect) }

    /// Looks at a copy that was found damaged, and leaves it: `.later` where it cannot be known, because the disk gives nothing now.
    func look(at suspect: Suspect) async -> Outcome {
        do throws(MaildirError) {
            guard let copy = try await find(suspect) else {
                note(nil, of: suspect)
                return .mended
            }
            if case .unreadable = copy.damage { try await replicator.store.sayInService() }
            return .left
        } catch {
            return .later
        }
    }

    /// Looks at a copy that could not be read, and mends it. `.later` if too many are looked at.
    @discardableResult
    func mend(_ suspect: Suspect) async -> Outcome {
        let task = state.withLock { state -> Task<Outcome, Never>? in
            if let running = state.running[suspect] { return running }
            guard state.running.count < Self.runningMax else { return nil }
            let task = Task {
                let outcome = await self.lookAndMend(suspect)
                self.state.withLock { $0.running[suspect] = nil }
                return outcome
            }
            state.running[suspect] = task
            return task
        }
        return await task?.value ?? .later
    }

    /// Mends what waits in a spool; told whether a copy is good then, or gone.
    func mending(_ snapshot: MaildropSnapshot, heldFor target: SpoolTarget) -> @Sendable (Int) async -> Bool {
        { index in
            await self.mend(Suspect(key: snapshot.key, target: target, uidl: snapshot.uidl(at: index))) == .mended
        }
    }

    private func lookAndMend(_ suspect: Suspect) async -> Outcome {
        let outcome: Outcome
        do throws(MaildirError) {
            let copy = try await find(suspect)
            outcome = if let copy { await mend(copy) } else { .mended }
        } catch {
            replicator.log.error("mend", metadata: ["mailbox": "\(suspect.key.mailbox)", "error": "\(error)"])
            return .later
        }
        switch outcome {
        case .mended:
            note(nil, of: suspect)
            if let target = suspect.target { replicator.noteHeld(for: target) }
        case .left: note(.left(until: .now + Self.leftTime), of: suspect)
        case .later: note(.damaged(since: .now), of: suspect)
        }
        return outcome
    }

    /// Nil if it is gone, or is what its name promises.
    private func find(_ suspect: Suspect) async throws(MaildirError) -> DamagedCopy? {
        let snapshot = try await replicator.store.snapshot(of: suspect.key, heldFor: suspect.target)
        guard let index = (0..<snapshot.count).first(where: { snapshot.uidl(at: $0) == suspect.uidl }),
            snapshot.promise(at: index) != nil,
            let damage = try await damage(of: index, in: snapshot)
        else { return nil }
        return DamagedCopy(suspect: suspect, snapshot: snapshot, index: index, damage: damage)
    }

    /// What is kept for others no session reads.
    private func note(_ known: Known?, of suspect: Suspect) {
        if suspect.target != nil { return }
        state.withLock { state in
            // The first time counts.
            if case .damaged = known, case .damaged = state.known[suspect] { return }
            if known != nil, state.known.count >= Self.knownMax { state.known = [:] }
            state.known[suspect] = known
            hasKnown.store(!state.known.isEmpty, ordering: .relaxed)
        }
    }

    // MARK: comparing

    /// Nil if the copy is what its name promises, or is not there any more.
    ///
    /// - Parameter read: told the octets of each piece.
    func damage(
        of index: Int, in snapshot: MaildropSnapshot, read: (Int) async -> Void = { _ in }
    ) async throws(MaildirError) -> CopyDamage? {
        do throws(MaildirError) {
            guard let reader = try await replicator.store.reader(of: index, in: snapshot) else { return nil }
            defer { reader.close() }
            var octets = 0
            while case let piece = try await reader.next(), !piece.isEmpty {
                octets += piece.count
                await read(piece.count)
            }
            return octets < reader.size ? .size(octets, reader.size) : nil
        } catch .damaged(let damage, _) {
            return damage
        } catch {
            if error.isDamage { return .unreadable("\(error)") }
            throw error
        }
    }

    // MARK: mending

    private func mend(_ copy: DamagedCopy) async -> Outcome {
        var log = replicator.log
        log[metadataKey: "mailbox"] = "\(copy.suspect.key.mailbox)"
        log[metadataKey: "message"] = "\(copy.suspect.uidl)"
        replicator.metrics.damagedCopies.increment()
        log.error("a copy is damaged", metadata: ["damage": "\(copy.damage)"])
        var (areAllAsked, lacks) = (true, false)
        for peer in holders(of: copy.suspect.key) {
            do {
                switch try await replace(copy, from: peer, log) {
                case nil: lacks = true
                case .different: continue
                case .replaced(let quarantine):
                    replicator.metrics.damagedCopiesReplaced.increment()
                    log.notice(
                        "the damaged copy is replaced",
                        metadata: ["node": "\(peer.name)", "quarantine": "\(quarantine)"])
                    return .mended
                case .gone:
                    log.info("the damaged copy is gone")
                    return .mended
                }
            } catch {
                // Otherwise it may have a good one.
                let isDamagedThere =
                    if case .refused(_, code: .systemPermanent)? = error as? PeerError { true } else { false }
                areAllAsked = areAllAsked && isDamagedThere
                log.warning("no copy", metadata: ["node": "\(peer.name)", "reason": "\(error)"])
            }
        }
        let file = copy.snapshot.file(at: copy.index)
        guard areAllAsked, !lacks || isKnownForLong(copy.suspect) else {
            log.error(
                "the damaged copy stays for now: an owner that may have a good one does not give it",
                metadata: ["file": "\(file)"])
            return .later
        }
        replicator.metrics.damagedCopiesLeft.increment()
        log.error("the damaged copy stays: no owner has a good one", metadata: ["file": "\(file)"])
        return .left
    }

    private func isKnownForLong(_ suspect: Suspect) -> Bool {
        switch state.withLock({ $0.known[suspect] }) {
        case .damaged(let since)?: since + Self.lackingTime < .now
        case .left?: true
        case nil: false
        }
    }

    /// Its other owners, and those of the epochs before.
    private func holders(of key: MailboxKey) -> [Peer] {
        let peers = replicator.peers
        var nodes: [Ring.NodeIndex] = []
        for node in peers.map.transition.holders(ofPartition: key.partition).joined()
        where node != peers.own && !nodes.contains(node) {
            nodes.append(node)
        }
        return nodes.map(peers.peer)
    }

    /// Nil if the node has no copy. What was kept for others is let go of where it was deleted.
    private func replace(_ copy: DamagedCopy, from peer: Peer, _ log: Logger) async throws -> ReplacementOutcome? {
        guard let name = MessageIdentity(copy.suspect.uidl) else { return nil }
        guard peer.isReachable else { throw PeerError.unreachable("the node cannot be reached") }
        let remote = peer.replica(of: copy.suspect.key.mailbox)
        defer { remote.quit() }
        let (contents, numbers) = try await remote.contents()
        guard let number = numbers[name.text] else {
            guard copy.suspect.target != nil, try await isDeleted(copy, contents.tombstones, at: remote) else {
                return nil
            }
            try await replicator.store.letGo(messages: [copy.index], tombstones: [], of: copy.snapshot)
            return .gone
        }
        let recipient = DeliveryRecipient(
            mailbox: copy.suspect.key.mailbox, partition: copy.suspect.key.partition, header: [],
            heldFor: copy.suspect.target)
        let brought = try await remote.bring(number, named: name, to: recipient, in: replicator.store)
        guard let writer = brought else { return nil }
        let outcome = try await writer.commit(replacing: copy.index, of: copy.snapshot)
        if outcome == .different {
            log.warning("another node's copy is another one, too", metadata: ["node": "\(peer.name)"])
        }
        return outcome
    }

    private func isDeleted(
        _ copy: DamagedCopy, _ tombstones: Set<String>, at remote: RemoteReplica
    ) async throws -> Bool {
        for name in tombstones.compactMap({ MessageIdentity($0) }) {
            if let tombstone = try await remote.tombstone(name),
                replicator.store.deletes(tombstone, copy.index, of: copy.snapshot)
            {
                return true
            }
        }
        return false
    }
}

/// A copy that is not what its name promises.
private struct DamagedCopy: Sendable {
    let suspect: CopyMender.Suspect
    let snapshot: MaildropSnapshot
    let index: Int
    let damage: CopyDamage
}
