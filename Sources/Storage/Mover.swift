import Cluster
import Hops
import Logging
import Mail
import Maildirs
import Membership
import Synchronization

// A mailbox of a partition that this node does not own any more goes through these states. What is on disk is all there
// is to know: a mover that was killed finds what is left by looking.
//
// |                                    | on disk after a crash         | why that is safe                                   |
// |------------------------------------|-------------------------------|----------------------------------------------------|
// | it is a stray                      | all of it                     | openings at the new owners ask this node too       |
// | some owners were given what they   | all of it                     | names make a repeat harmless                       |
// | lacked                             |                               |                                                    |
// | every owner was compared, and      | all of it                     | the same; what came meanwhile is in no comparison  |
// | lacks nothing                      |                               |                                                    |
// | what was compared is removed       | some of it, or what came since| every owner has it; the rest is a stray            |

/// Brings the mail of partitions that this node lost to their owners, and gives it up once all of them have it.
final class Mover: Sendable {
    /// How far it is.
    struct Progress: Sendable {
        /// The epoch that this is about.
        var epoch: UInt64 = 0
        /// The fingerprint of the ring by which mail is given up here; 0 until that begins. Other nodes are told this one: who
        /// is told a ring relies on it that nothing is given up by an older one any more.
        var ring: UInt64 = 0
        /// Partitions that were here and not this node's when the epoch began here.
        var partitions = 0
        /// Those of them that still have mail here, as far as was looked.
        var left = 0
        var isLooking = true
        /// Why the last mailbox that was not given up is still here.
        var obstacle: String?
    }

    private let replicator: Replicator
    private let openMailboxes: OpenMailboxes
    let transfer: Transfer
    private let state = Mutex(Progress())

    private static let interval = Duration.seconds(1)
    /// When nothing is here that is another's, it is looked for so rarely: a process with an older map may bring something.
    private static let idleInterval = Duration.seconds(30)
    private static let mailboxesAtOnce = 4

    init(replicator: Replicator, openMailboxes: OpenMailboxes, rate: Int) {
        self.replicator = replicator
        self.openMailboxes = openMailboxes
        transfer = Transfer(rate: rate)
    }

    var progress: Progress { state.withLock { $0 } }

    /// Runs until it is cancelled.
    func run() async {
        var last: ReplicaPeers?
        while !Task.isCancelled {
            let peers = replicator.peers
            if last !== peers {
                let begun = Progress(epoch: peers.map.epoch, ring: peers.map.ring.fingerprint)
                state.withLock { $0 = begun }
            }
            last = peers
            await moveAll(peers)
            var waited = Duration.zero
            while !Task.isCancelled, replicator.peers === peers,
                waited < (progress.left == 0 ? Self.idleInterval : Self.interval)
            {
                try? await Task.sleep(for: Self.interval)
                waited += Self.interval
            }
        }
    }

    private func moveAll(_ peers: ReplicaPeers) async {
        let stored: [Int]
        do throws(MaildirError) {
            stored = try await replicator.store.partitionsOnDisk()
        } catch {
            return replicator.log.error("moves", metadata: ["reason": "\(error)"])
        }
        let strays = peers.own.map { peers.map.strays(among: stored, at: $0) } ?? stored
        state.withLock { state in
            state.partitions = max(state.partitions, strays.count)
            state.left = strays.count
            state.isLooking = false
            state.obstacle = nil
        }
        guard !strays.isEmpty, await canBegin(peers) else { return }
        for partition in strays where !Task.isCancelled && replicator.peers === peers {
            if await move(partition, peers) { state.withLock { $0.left -= 1 } }
        }
        if progress.left == 0 {
            replicator.log.notice(
                "all moved", metadata: ["epoch": "\(peers.map.epoch)", "partitions": "\(strays.count)"])
        }
    }

    private func canBegin(_ peers: ReplicaPeers) async -> Bool {
        let others = peers.map.ring.members.indices.map(Ring.NodeIndex.init)
            .filter { $0 != peers.own && peers.map.ring.member($0).weight > 0 }
        let ring = peers.map.ring.fingerprint
        for node in others {
            let status = try? await peers.status(of: node)
            guard Move.mayBegin(ring: ring, others: [status?.ring]) else {
                state.withLock { $0.obstacle = "\(peers.map[node].name) does not go by this ring, or does not answer" }
                return false
            }
        }
        return true
    }

    /// Whether nothing of the partition is left here.
    private func move(_ partition: Int, _ peers: ReplicaPeers) async -> Bool {
        var isDone = true
        var pages = replicator.store.pages(ofPartition: partition)
        while let page = await pages.next() {
            guard !Task.isCancelled, replicator.peers === peers else { return false }
            if let failure = page.failure {
                isDone = false
                state.withLock { $0.obstacle = "\(failure)" }
            }
            let outcomes = await withTaskGroup(of: Bool.self) { group in
                var results: [Bool] = []
                for (index, key) in page.keys.enumerated() {
                    if index >= Self.mailboxesAtOnce, let result = await group.next() { results.append(result) }
                    group.addTask { await self.move(key, peers) }
                }
                for await result in group { results.append(result) }
                return results
            }
            if outcomes.contains(false) { isDone = false }
        }
        return isDone
    }

    /// Whether nothing of the mailbox is left here.
    private func move(_ key: MailboxKey, _ peers: ReplicaPeers) async -> Bool {
        do {
            let snapshot = try await replicator.store.snapshot(of: key)
            if snapshot.isEmpty {
                guard try await replicator.store.purge(snapshot) else {
                    throw Obstacle(
                        "\(key.mailbox) has files that no listing shows, because they cannot be read, or has new ones")
                }
                return true
            }
            guard let compared = try await give(key, peers) else { return false }
            guard !openMailboxes.isOpen(key.mailbox) else { throw Obstacle("\(key.mailbox) is open here") }
            return try await replicator.store.purge(compared)
        } catch {
            state.withLock { $0.obstacle = "\(error)" }
            return false
        }
    }

    private struct Obstacle: Error, CustomStringConvertible {
        let description: String

        init(_ description: String) { self.description = description }
    }

    /// Gives every owner what it lacks. What was here at the first comparison that found nothing to give; nil to try later.
    private func give(_ key: MailboxKey, _ peers: ReplicaPeers) async throws -> MaildropSnapshot? {
        var move = Move(owners: peers.map.ring.owners(ofPartition: key.partition))
        var compared: MaildropSnapshot?
        var step = move.next
        while case .give(let owner) = step {
            let peer = peers.peer(owner)
            guard peer.isReachable else { throw Obstacle("\(peer.name) cannot be reached") }
            let merge = MailboxMerge(key: key, peer: peer, scope: .there, replicator: replicator, transfer: transfer)
            guard case .done(let snapshot, let outcome) = await merge.run() else {
                throw Obstacle("\(key.mailbox) cannot be compared with \(peer.name)")
            }
            let carried = outcome.messagesCarried + outcome.tombstonesCarried
            step = move.compared(carried: carried, isComplete: outcome.isComplete)
            if carried == 0, outcome.isComplete { compared = compared ?? snapshot }
            if step == .stop {
                throw Obstacle("\(peer.name) did not take all of \(key.mailbox), or it changes all the time")
            }
        }
        return compared
    }
}
