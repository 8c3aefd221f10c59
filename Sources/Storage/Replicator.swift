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
    let metrics: StorageMetrics
    let log: Logger
    let settings: DeliverySettings
    private let durableCopies: Int
    private let peerSettings: ReplicaPeers.Settings
    private let current: Mutex<ReplicaPeers>
    private let merges = Mutex<[MailboxName: Task<Convergence, Never>]>([:])
    /// For whom something came to wait since it was last looked for.
    private let freshTargets = Mutex<Set<SpoolTarget>>([])
    /// Where something came to wait for a site since that was last looked for.
    private let spooled = Mutex<[SpoolTarget: Set<MailboxKey>]>([:])
    /// What the first owners said of what they have carried to sites.
    private let carriages = Mutex<[SpoolTarget: LateCarriage]>([:])
    let sites: Sites

    init(
        _ configuration: ClusterConfiguration, store: MaildirStore, peers: ReplicaPeers.Settings,
        metrics: StorageMetrics, log: Logger
    ) {
        self.store = store
        self.metrics = metrics
        self.log = log
        settings = configuration.delivery
        sites = Sites(configuration)
        durableCopies = configuration.cluster.durableCopies
        peerSettings = peers
        current = Mutex(ReplicaPeers(ClusterMap(configuration), settings: peers))
    }

    /// The other nodes as they are now. Who does several things with them does all of them with the same.
    var peers: ReplicaPeers { current.withLock { $0 } }

    func key(of mailbox: MailboxName) -> MailboxKey {
        MailboxKey(mailbox: mailbox, partition: peers.map.ring.partition(of: mailbox))
    }

    /// Goes on with another epoch, or with other addresses; what is under way ends as it began.
    func adopt(_ map: ClusterMap) {
        let old = current.withLock { current in
            let old = current
            current = ReplicaPeers(map, settings: peerSettings, after: old)
            return old
        }
        let time = settings.timeout * 2
        Task {
            try? await Task.sleep(for: time)
            await old.quit()
        }
    }

    func quit() async { await peers.quit() }

    // MARK: opening

    /// Whether a mailbox may be opened as it is: there is no other node, and nothing waits here that came by another ring.
    var opensAlone: Bool { peers.isAlone && store.holdsNothing }

    /// Brings here what other replicas of the mailbox and its stand-ins have, as far as they answer, so that a session sees
    /// all that was acknowledged, and nothing that was deleted.
    ///
    /// False if one of them has what this node cannot take: another owner serves the session better, or later is better than
    /// half. Where there is no other owner, half is better than nothing, because its reader can make room. False too if this
    /// node cannot know what there is, because it does not own the mailbox for long and nobody who did answers.
    func prepareOpening(_ mailbox: MailboxName) async -> Bool {
        let peers = peers
        let ring = peers.map.ring
        let partition = ring.partition(of: mailbox)
        let groups = peers.map.transition.holders(ofPartition: partition)
        let owners = groups[0].filter { $0 != peers.own }
        let former = Set(groups.dropFirst().joined()).subtracting(groups[0]).filter { $0 != peers.own }
        let standIns = PreferenceList.live(ring, partition: partition, count: ring.replicas + Self.standInsMin) {
            $0 != peers.own && peers.isReachable($0)
        }.filter { !owners.contains($0) && !former.contains($0) }
        let isBrought = await withTaskGroup(of: Bool.self) { group in
            for node in standIns { group.addTask { await self.bring(mailbox, fromStandIn: peers.peer(node)) } }
            return await group.reduce(true) { $0 && $1 }
        }
        guard isBrought || ring.replicas == 1 else { return false }
        if let own = peers.own, groups[0].contains(own) {
            await HandoffDrain(replicator: self).takeOver(mailbox, as: peers.peer(own))
        }
        return await withTaskGroup(of: (Ring.NodeIndex, Convergence).self) { group in
            for node in owners where peers.isReachable(node) {
                group.addTask { (node, await self.converge(mailbox, with: peers.peer(node))) }
            }
            for node in former {
                group.addTask { (node, await self.converge(mailbox, with: peers.peer(node), .here)) }
            }
            var heard: Set<Ring.NodeIndex> = peers.own.map { [$0] } ?? []
            var isWhole = true
            for await (node, convergence) in group {
                if convergence == .lacking { isWhole = false }
                if convergence != .silent { heard.insert(node) }
            }
            return isWhole && groups.allSatisfy { !heard.isDisjoint(with: $0) }
        }
    }

    /// Has a stand-in bring here what waits there, and takes what somebody brought it who went by another ring. False if this
    /// node did not take all of it; true if the stand-in does not answer, because what it has is then not known.
    private func bring(_ mailbox: MailboxName, fromStandIn peer: Peer) async -> Bool {
        do throws(PeerError) {
            let (digest, held) = try await peer.digest(of: mailbox)
            if held > 0 { try await peer.drain(mailbox) }
            return digest.isEmpty ? true : await merge(mailbox, with: peer, .here) != .lacking
        } catch {
            guard case .refused(let reason, _) = error else { return true }
            log.warning(
                "not brought", metadata: ["mailbox": "\(mailbox)", "node": "\(peer.name)", "reason": "\(reason)"])
            return false
        }
    }

    enum Convergence: Sendable {
        case equal
        case merged
        /// The other one has what this node could not take.
        case lacking
        /// The other one did not take all that it lacks.
        case behind
        /// The other one does not answer.
        case silent
    }

    /// How many stand-ins are asked at least: where a copy that its owner missed is kept first.
    private static let standInsMin = 2

    /// What a node's copy comes to, after it has brought here what waited there. Nil if it does not answer.
    private func digest(of mailbox: MailboxName, at peer: Peer) async -> MailboxDigest? {
        guard let (digest, held) = try? await peer.digest(of: mailbox) else { return nil }
        if held > 0 { try? await peer.drain(mailbox) }
        return digest
    }

    private func converge(
        _ mailbox: MailboxName, with peer: Peer, _ scope: Merge.Scope = .both
    ) async -> Convergence {
        guard let theirs = await digest(of: mailbox, at: peer) else { return .silent }
        if scope == .here, theirs.isEmpty { return .equal }
        guard let ours = try? await store.snapshot(of: key(of: mailbox)).digest else { return .lacking }
        return theirs == ours ? .equal : await merge(mailbox, with: peer, scope)
    }

    /// Compares the mailbox with all its other owners, and merges where they differ: what came of it with each.
    func repair(_ mailbox: MailboxName) async -> [Convergence] {
        var outcomes: [Convergence] = []
        for peer in peers.owners(of: mailbox) {
            outcomes.append(peer.isReachable ? await converge(mailbox, with: peer) : .silent)
        }
        return outcomes
    }

    // MARK: merging

    /// Makes this node's copy and another's the same, one merge of a mailbox after the other.
    private func merge(_ mailbox: MailboxName, with peer: Peer, _ scope: Merge.Scope) async -> Convergence {
        let merge = merges.withLock { merges -> Task<Convergence, Never> in
            let before = merges[mailbox]
            let task = Task {
                // What the merge before this one was for may be what this one is for.
                if await before?.value == .merged, await !self.differs(mailbox, from: peer) {
                    return Convergence.merged
                }
                let merge = MailboxMerge(key: self.key(of: mailbox), peer: peer, scope: scope, replicator: self)
                return Convergence(await merge.run())
            }
            merges[mailbox] = task
            return task
        }
        let outcome = await merge.value
        merges.withLock { if $0[mailbox] == merge { $0[mailbox] = nil } }
        return outcome
    }

    private func differs(_ mailbox: MailboxName, from peer: Peer) async -> Bool {
        guard let theirs = try? await peer.digest(of: mailbox).digest,
            let ours = try? await store.snapshot(of: key(of: mailbox)).digest
        else { return true }
        return theirs != ours
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
        let peers = peers
        let ring = peers.map.ring
        var plan = DeliveryPlan(
            ring: ring, partitions: [ring.partition(of: mailbox)], quorum: durableCopies, durableAt: peers.own)
        let isLive: (Ring.NodeIndex) -> Bool = { peers.isReachable($0) && $0 != peers.own }
        await withTaskGroup(of: Report.self) { group in
            var copies = plan.start(isLive: isLive)
            while true {
                for copy in copies { send(copy, tombstone, mailbox, peers, in: &group) }
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
        _ copy: DeliveryPlan.Copy, _ tombstone: Tombstone, _ mailbox: MailboxName, _ peers: ReplicaPeers,
        in group: inout TaskGroup<Report>
    ) {
        group.addTask { .answered(copy, await self.carry(copy, tombstone, mailbox, peers)) }
        group.addTask { [settings] in
            try? await Task.sleep(for: settings.handoffAfter)
            return .lags(copy)
        }
    }

    private func carry(
        _ copy: DeliveryPlan.Copy, _ tombstone: Tombstone, _ mailbox: MailboxName, _ peers: ReplicaPeers
    ) async -> Verdict {
        let owner = copy.kind == .own ? nil : peers.map[copy.owner].name
        guard copy.node == peers.own else {
            let cargo: ReplicaPeers.Cargo = copy.kind == .hold ? .hold(tombstone.name) : .tombstone(tombstone)
            return await peers.carry(cargo, of: mailbox, to: copy.node, heldFor: owner, sitePath: .origin)
        }
        guard let target = owner.flatMap({ SpoolTarget(node: $0) }) else { return .deferred(.unexpected) }
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
    func noteHeld(for target: SpoolTarget) {
        if target.kind == .node { freshTargets.withLock { _ = $0.insert(target) } }
    }

    /// Mailboxes that are remembered for one site; the others are found by walking its spool.
    static let spooledMax = 100_000

    /// Something came to wait for sites.
    func noteSpooled(_ key: MailboxKey, for sites: SiteSpools) {
        guard !sites.isEmpty else { return }
        spooled.withLock { spooled in
            for target in sites.targets where (spooled[target]?.count ?? 0) < Self.spooledMax {
                spooled[target, default: []].insert(key)
            }
        }
    }

    /// Another owner has carried something to a site.
    func noteCarried(to target: SpoolTarget, at now: Int64) {
        carriages.withLock { $0[target, default: LateCarriage()].heard(at: now) }
    }

    func lateCarriage(to target: SpoolTarget) -> LateCarriage {
        carriages.withLock { $0[target] ?? LateCarriage() }
    }

    func takeSpooled(for target: SpoolTarget) -> Set<MailboxKey> {
        spooled.withLock { $0.removeValue(forKey: target) ?? [] }
    }

    func takeFreshTargets() -> Set<SpoolTarget> {
        freshTargets.withLock { targets in
            defer { targets = [] }
            return targets
        }
    }
}

extension Replicator.Convergence {
    init(_ result: MailboxMerge.Result) {
        switch result {
        case .done(_, let merge): self = merge.isLackingHere ? .lacking : merge.isComplete ? .merged : .behind
        case .silent: self = .silent
        case .failed: self = .lacking
        }
    }
}
