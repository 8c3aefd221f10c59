import Cluster
import Logging
import Mail
import Maildirs
import Membership

/// Hands over what waits on this node for others, as soon as they take it.
struct HandoffDrain {
    let replicator: Replicator
    /// Mends damaged copies before they are handed over; nil to leave them.
    var mender: CopyMender?

    private static let interval = Duration.seconds(1)
    /// Everything is looked through again after so many intervals: another process may serve the same store.
    private static let roundsPerWalk = 300

    /// Runs until it is cancelled.
    func run() async {
        var waiting: Set<SpoolTarget> = []
        var failures: [SpoolTarget: MaildirError] = [:]
        var round = 0
        while !Task.isCancelled {
            if round % Self.roundsPerWalk == 0, let all = try? await replicator.store.targets() {
                waiting.formUnion(all)
            }
            round += 1
            waiting.formUnion(replicator.takeFreshTargets())
            for target in waiting where await drain(target, &failures) {
                waiting.remove(target)
                failures[target] = nil
            }
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Whether nothing waits for the node any more. What could not be listed is told to the log once.
    private func drain(_ target: SpoolTarget, _ failures: inout [SpoolTarget: MaildirError]) async -> Bool {
        let peers = replicator.peers
        if let node = peers.map.ring.index(of: target.name), !peers.isReachable(node) { return false }
        var isDone = true
        var pages = replicator.store.pages(heldFor: target)
        while let page = await pages.next() {
            guard !Task.isCancelled else { return false }
            if let failure = page.failure {
                isDone = false
                if failures.updateValue(failure, forKey: target) != failure { note(failure, target) }
            }
            for key in page.keys {
                let takers = takers(of: key, for: target, peers)
                guard await drain(key, for: target, to: takers, lettingGo: true) == nil else { continue }
                isDone = false
                guard takers.contains(where: \.isReachable) else { return false }
            }
        }
        return isDone
    }

    private func note(_ error: MaildirError, _ target: SpoolTarget) {
        if error == .shutDown { return }
        replicator.log.error("handoff", metadata: ["for": "\(target)", "reason": "\(error)"])
    }

    /// Who is to have what waits for a node: the node, if it still owns the mailbox; else all who do.
    private func takers(of key: MailboxKey, for target: SpoolTarget, _ peers: ReplicaPeers) -> [Peer] {
        let owners = peers.map.ring.owners(ofPartition: key.partition)
        if let node = peers.map.ring.index(of: target.name), owners.contains(node) { return [peers.peer(node)] }
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
            let isFor = target.name == taker.name
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
        _ key: MailboxKey, for target: SpoolTarget, to takers: [Peer], lettingGo: Bool,
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
                var carriage = SpoolCarriage(
                    snapshot: snapshot, taker: taker, store: replicator.store, log: replicator.log)
                if let mender { carriage.mend = mender.mending(snapshot, heldFor: target) }
                let (takenTombstones, _, areTombstonesWhole) = try await carriage.carry(heldTombstones.sorted())
                let (takenMessages, _, areMessagesWhole) = await carriage.carry(heldMessages)
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
}
