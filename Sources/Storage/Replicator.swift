import Cluster
import CoreMetrics
import Hops
import Logging
import Mail
import Maildirs
import Membership
import Synchronization

/// Makes the replicas of mailboxes converge: when one is opened, when one was deleted from, and on request.
///
/// Everything here is a repeat of what may have happened already: names make it harmless, and a crash between any two
/// steps leaves replicas that the next merge makes equal.
final class Replicator: Sendable {
    let store: MaildirStore
    let peers: ReplicaPeers
    let metrics: StorageMetrics
    let log: Logger
    let settings: DeliverySettings
    private let durableCopies: Int
    private let merges = Mutex<[MailboxName: Task<Bool, Never>]>([:])
    /// For whom something came to wait since it was last looked for.
    private let freshTargets = Mutex<Set<HandoffTarget>>([])

    init(
        _ configuration: ClusterConfiguration, store: MaildirStore, peers: ReplicaPeers, metrics: StorageMetrics,
        log: Logger
    ) {
        self.store = store
        self.peers = peers
        self.metrics = metrics
        self.log = log
        settings = configuration.delivery
        durableCopies = configuration.cluster.durableCopies
    }

    var ring: Ring { peers.map.ring }

    func key(of mailbox: MailboxName) -> MailboxKey {
        MailboxKey(mailbox: mailbox, partition: ring.partition(of: mailbox))
    }

    // MARK: opening

    /// Brings here what other replicas of the mailbox and its stand-ins have, as far as they answer, so that a session sees
    /// all that was acknowledged. False if another owner has what this node cannot take: it serves the session better.
    func prepareOpening(_ mailbox: MailboxName) async -> Bool {
        let partition = ring.partition(of: mailbox)
        let owners = ring.owners(ofPartition: partition).filter { $0 != peers.own && peers.isReachable($0) }
        let standIns = PreferenceList.live(ring, partition: partition, count: ring.replicas + Self.standInsMin) {
            $0 != peers.own && peers.isReachable($0)
        }.filter { !owners.contains($0) }
        await withTaskGroup { group in
            for node in standIns { group.addTask { _ = await self.digest(of: mailbox, at: node) } }
        }
        return await withTaskGroup(of: Convergence.self) { group in
            for node in owners { group.addTask { await self.converge(mailbox, with: node) } }
            return await group.allSatisfy { $0 != .lacking }
        }
    }

    private enum Convergence: Sendable {
        /// Nothing differed, or the other one does not answer.
        case equal
        case merged
        /// The other one has what this node could not take.
        case lacking
    }

    /// How many stand-ins are asked at least: where a copy that its owner missed is kept first.
    private static let standInsMin = 2

    /// What a node's copy comes to, after it has brought here what waited there. Nil if it does not answer.
    private func digest(of mailbox: MailboxName, at node: Ring.NodeIndex) async -> MailboxDigest? {
        guard let (digest, held) = try? await peers.digest(of: mailbox, at: node) else { return nil }
        if held > 0 { try? await peers.drain(mailbox, at: node) }
        return digest
    }

    private func converge(_ mailbox: MailboxName, with node: Ring.NodeIndex) async -> Convergence {
        guard let theirs = await digest(of: mailbox, at: node),
            let ours = try? await store.snapshot(of: key(of: mailbox)).digest, theirs != ours
        else { return .equal }
        return await merge(mailbox, with: node) ? .merged : .lacking
    }

    /// Compares the mailbox with all its other owners, and merges where they differ. Whether any did.
    func repair(_ mailbox: MailboxName) async -> Bool {
        var hasDiffered = false
        for node in ring.owners(of: mailbox) where node != peers.own && peers.isReachable(node) {
            if await converge(mailbox, with: node) != .equal { hasDiffered = true }
        }
        return hasDiffered
    }

    private func differs(_ mailbox: MailboxName, from node: Ring.NodeIndex) async -> Bool {
        guard let theirs = try? await peers.digest(of: mailbox, at: node).digest,
            let ours = try? await store.snapshot(of: key(of: mailbox)).digest
        else { return true }
        return theirs != ours
    }

    // MARK: merging

    /// Makes this node's copy and another's the same, one merge of a mailbox after the other. Whether this node has all now.
    func merge(_ mailbox: MailboxName, with node: Ring.NodeIndex) async -> Bool {
        let merge = merges.withLock { merges -> Task<Bool, Never> in
            let before = merges[mailbox]
            let task = Task {
                // What the merge before this one was for may be what this one is for.
                if await before?.value == true, await !self.differs(mailbox, from: node) { return true }
                return await MailboxMerge(key: self.key(of: mailbox), node: node, replicator: self).run()
            }
            merges[mailbox] = task
            return task
        }
        let isWhole = await merge.value
        merges.withLock { if $0[mailbox] == merge { $0[mailbox] = nil } }
        return isWhole
    }

    // MARK: deleting

    /// Tells the other owners of a deletion, or has it kept for them. False if fewer nodes than the quorum have it.
    func replicate(_ tombstones: [Tombstone], of mailbox: MailboxName) async -> Bool {
        for tombstone in tombstones where await !replicate(tombstone, of: mailbox) { return false }
        return true
    }

    private enum Report: Sendable {
        case answered(DeliveryPlan.Copy, Verdict)
        case lags(DeliveryPlan.Copy)
    }

    private func replicate(_ tombstone: Tombstone, of mailbox: MailboxName) async -> Bool {
        var plan = DeliveryPlan(
            ring: ring, partitions: [ring.partition(of: mailbox)], quorum: durableCopies, durableAt: peers.own)
        let isLive: (Ring.NodeIndex) -> Bool = { [peers] in peers.isReachable($0) && $0 != peers.own }
        await withTaskGroup(of: Report.self) { group in
            var copies = plan.start(isLive: isLive)
            while true {
                for copy in copies { send(copy, tombstone, mailbox, in: &group) }
                guard !plan.isFinished, let report = await group.next() else { break }
                switch report {
                case .answered(let copy, let verdict): copies = plan.answered(copy, verdict, isLive: isLive)
                case .lags(let copy): copies = plan.lagging(copy, isLive: isLive)
                }
            }
            group.cancelAll()
        }
        for (_, owner) in plan.forgotten {
            log.error(
                "deletion not told", metadata: ["mailbox": "\(mailbox)", "node": "\(peers.map[owner].name)"])
        }
        return plan.verdicts == [.accepted]
    }

    private func send(
        _ copy: DeliveryPlan.Copy, _ tombstone: Tombstone, _ mailbox: MailboxName,
        in group: inout TaskGroup<Report>
    ) {
        group.addTask { .answered(copy, await self.carry(copy, tombstone, mailbox)) }
        group.addTask { [settings] in
            try? await Task.sleep(for: settings.handoffAfter)
            return .lags(copy)
        }
    }

    private func carry(
        _ copy: DeliveryPlan.Copy, _ tombstone: Tombstone, _ mailbox: MailboxName
    ) async -> Verdict {
        let owner = copy.kind == .own ? nil : copy.owner
        guard copy.node == peers.own else {
            let cargo: ReplicaPeers.Cargo = copy.kind == .hold ? .hold(tombstone.name) : .tombstone(tombstone)
            return await peers.carry(cargo, of: mailbox, to: copy.node, heldFor: owner)
        }
        guard let target = HandoffTarget(peers.map[copy.owner].name) else { return .deferred(.unexpected) }
        do throws(MaildirError) {
            try await store.keep(tombstone.name, of: key(of: mailbox), for: target)
            noteHeld(for: target)
            return .accepted
        } catch {
            return .deferred(Reason(451, "4.3.0", "\(error)"))
        }
    }

    // MARK: what waits

    /// Something came to wait for a node.
    func noteHeld(for target: HandoffTarget) {
        freshTargets.withLock { _ = $0.insert(target) }
    }

    func takeFreshTargets() -> Set<HandoffTarget> {
        freshTargets.withLock { targets in
            defer { targets = [] }
            return targets
        }
    }
}
