import Cluster
import Logging
import Mail
import Maildirs
import Membership

/// Hands over what waits on this node for others, as soon as they take it.
struct HandoffDrain {
    let replicator: Replicator

    private static let interval = Duration.seconds(1)
    /// Everything is looked through again after so many intervals: another process may serve the same store.
    private static let roundsPerWalk = 300
    private static let mailboxesPerStep = 64
    private static let copiesMax = 8

    /// Runs until it is cancelled.
    func run() async {
        var waiting: Set<HandoffTarget> = []
        var round = 0
        while !Task.isCancelled {
            if round % Self.roundsPerWalk == 0, let all = try? await replicator.store.targets() {
                waiting.formUnion(all)
            }
            round += 1
            waiting.formUnion(replicator.takeFreshTargets())
            for target in waiting where await drain(target) { waiting.remove(target) }
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Whether nothing waits for the node any more.
    private func drain(_ target: HandoffTarget) async -> Bool {
        let peers = replicator.peers
        if let node = peers.map.ring.index(of: target.node), !peers.isReachable(node) { return false }
        var isDone = true
        var last: MailboxKey?
        while !Task.isCancelled,
            let keys = try? await replicator.store.mailboxes(heldFor: target, after: last, count: Self.mailboxesPerStep)
        {
            guard !keys.isEmpty else { return isDone }
            for key in keys {
                let takers = takers(of: key, for: target, peers)
                guard await drain(key, for: target, to: takers, lettingGo: true) == nil else { continue }
                isDone = false
                guard takers.contains(where: \.isReachable) else { return false }
            }
            last = keys.last
        }
        return false
    }

    /// Who is to have what waits for a node: the node, if it still owns the mailbox; else all who do.
    private func takers(of key: MailboxKey, for target: HandoffTarget, _ peers: ReplicaPeers) -> [Peer] {
        let owners = peers.map.ring.owners(ofPartition: key.partition)
        if let node = peers.map.ring.index(of: target.node), owners.contains(node) { return [peers.peer(node)] }
        return owners.map(peers.peer)
    }

    /// Brings what waits in one mailbox, for whomever, to the node that asks for it, which is one of the mailbox's owners.
    /// Nil if not all of it was taken.
    func drain(_ mailbox: MailboxName, to taker: Peer) async -> Int? {
        guard let targets = try? await replicator.store.targets() else { return nil }
        taker.heard()
        var count = 0
        var isWhole = true
        for target in targets {
            let isFor = target.node == taker.name
            if let taken = await drain(replicator.key(of: mailbox), for: target, to: [taker], lettingGo: isFor) {
                count += taken
            } else {
                isWhole = false
            }
        }
        return isWhole ? count : nil
    }

    /// Takes what this node keeps for others and has not itself: whoever brought it did not take this node for an owner.
    func takeOver(_ mailbox: MailboxName, as taker: Peer) async {
        let key = replicator.key(of: mailbox)
        guard let targets = try? await replicator.store.targets(), !targets.isEmpty,
            let own = try? await replicator.store.snapshot(of: key)
        else { return }
        let known = ReplicaContents(
            messages: Set((0..<own.count).map(own.uidl)), tombstones: Set(own.tombstoneNames))
        for target in targets { _ = await drain(key, for: target, to: [taker], lettingGo: false, except: known) }
    }

    /// How much waits in a mailbox, for whomever.
    func heldCount(in mailbox: MailboxName) async throws(MaildirError) -> Int {
        var count = 0
        for target in try await replicator.store.targets() {
            let snapshot = try await replicator.store.snapshot(of: replicator.key(of: mailbox), heldFor: target)
            count += snapshot.count + snapshot.tombstoneNames.count
        }
        return count
    }

    /// How many copies each of the nodes took; nil if some have to wait on because one did not take them now. What somebody
    /// else handed over meanwhile, and what is refused for good, is not waited for; nor is what is `known` brought.
    private func drain(
        _ key: MailboxKey, for target: HandoffTarget, to takers: [Peer], lettingGo: Bool,
        except known: ReplicaContents = ReplicaContents()
    ) async -> Int? {
        do throws(MaildirError) {
            let snapshot = try await replicator.store.snapshot(of: key, heldFor: target)
            let heldTombstones = Set(snapshot.tombstoneNames).subtracting(known.tombstones)
            let heldMessages = (0..<snapshot.count).filter {
                known.messages.isEmpty || !known.messages.contains(snapshot.uidl(at: $0))
            }
            guard !heldMessages.isEmpty || !heldTombstones.isEmpty else { return 0 }
            var tombstones = heldTombstones
            var messages = Set(heldMessages)
            var isWhole = true
            for taker in takers {
                let (takenTombstones, areTombstonesWhole) = try await carry(
                    heldTombstones.sorted(), of: snapshot, key, taker)
                let (takenMessages, areMessagesWhole) = await carry(heldMessages, of: snapshot, key, taker)
                tombstones.formIntersection(takenTombstones.map(\.text))
                messages.formIntersection(takenMessages)
                isWhole = isWhole && areTombstonesWhole && areMessagesWhole
            }
            if lettingGo {
                try await replicator.store.letGo(
                    messages: messages.sorted(), tombstones: tombstones.sorted().compactMap { MessageIdentity($0) },
                    of: snapshot)
            }
            replicator.log.info(
                "handed over",
                metadata: [
                    "mailbox": "\(key.mailbox)", "node": "\(takers.map(\.name).joined(separator: " "))",
                    "for": "\(target)", "messages": "\(messages.count)", "tombstones": "\(tombstones.count)",
                ])
            return isWhole ? messages.count + tombstones.count : nil
        } catch {
            replicator.log.error("handoff", metadata: ["mailbox": "\(key.mailbox)", "reason": "\(error)"])
            return nil
        }
    }

    /// The tombstones that the node took, and whether no other is left.
    private func carry(
        _ tombstones: [String], of snapshot: MaildropSnapshot, _ key: MailboxKey, _ taker: Peer
    ) async throws(MaildirError) -> (taken: [MessageIdentity], isWhole: Bool) {
        var taken: [MessageIdentity] = []
        for name in tombstones.compactMap({ MessageIdentity($0) }) {
            guard let tombstone = try await replicator.store.tombstone(name, in: snapshot) else { continue }
            let verdict = await taker.carry(.tombstone(tombstone), of: key.mailbox)
            guard verdict.isAccepted else { return (taken, false) }
            taken.append(name)
        }
        return (taken, true)
    }

    /// The messages that the node took, and whether none was deferred.
    private func carry(
        _ messages: [Int], of snapshot: MaildropSnapshot, _ key: MailboxKey, _ taker: Peer
    ) async -> (taken: [Int], isWhole: Bool) {
        await withTaskGroup(of: (Int, Verdict?).self) { group in
            var taken: [Int] = []
            var next = 0
            var answered = 0
            var hasFailed = false
            while true {
                while next < messages.count, next < answered + Self.copiesMax, !hasFailed {
                    let index = messages[next]
                    group.addTask { (index, await carryMessage(index, of: snapshot, key, taker)) }
                    next += 1
                }
                guard let (index, verdict) = await group.next() else { return (taken, !hasFailed) }
                answered += 1
                switch verdict {
                case .accepted: taken.append(index)
                case .deferred: hasFailed = true
                case nil: break
                // One bad file never holds up those behind it.
                case .refused(let reason):
                    replicator.log.error(
                        "a copy is refused for good",
                        metadata: ["message": "\(snapshot.uidl(at: index))", "reason": "\(reason)"])
                }
            }
        }
    }

    /// Nil if the message is gone: somebody else handed it over, or it was deleted.
    private func carryMessage(
        _ index: Int, of snapshot: MaildropSnapshot, _ key: MailboxKey, _ taker: Peer
    ) async -> Verdict? {
        guard let name = MessageIdentity(snapshot.uidl(at: index)) else { return .deferred(.unexpected) }
        let reader: MessageReader
        do throws(MaildirError) {
            guard let found = try await replicator.store.reader(of: index, in: snapshot) else { return nil }
            reader = found
        } catch {
            return .deferred(Reason(451, "4.3.0", "\(error)"))
        }
        defer { reader.close() }
        let verdict = await taker.carry(.message(name, reader), of: key.mailbox)
        if let damage = reader.damage { return .refused(Reason(554, "5.6.0", "the copy is damaged: \(damage)")) }
        return verdict
    }
}
