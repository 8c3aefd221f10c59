import Cluster
import Hops
import Logging
import Mail
import Maildirs
import Membership
import POP3
import SASL
import SMTP
import Synchronization
import Wire

/// What all connections of one storage node share.
final class StorageContext: Sendable {
    let log: Logger
    let metrics = StorageMetrics()
    let store: MaildirStore
    let housekeeping: StorageSettings
    let replicator: Replicator
    let openMailboxes = OpenMailboxes()
    /// Queues that are being fetched: no two sessions may send the same.
    let queueSessions = OpenMailboxes()
    let mover: Mover
    let repair: Repair
    let mender: CopyMender
    private let waiting: WaitingForNodes
    /// The ways to other sites, once they stand.
    let siteDrains = Mutex<[SiteDrain]>([])
    /// What comes into the relays' queues, by the relays' names.
    let relayInboxes: [String: RelayInbox]
    /// The ways to the relays' servers, once they stand.
    let relayDrains = Mutex<[RelayDrain]>([])
    private let node: NodeSettings
    private let current: Mutex<StorageSessions>

    init(
        _ configuration: ClusterConfiguration, node: NodeSettings, store: MaildirStore, peers: ReplicaPeers.Settings,
        log: Logger
    ) {
        self.log = log
        self.store = store
        replicator = Replicator(configuration, store: store, peers: peers, metrics: metrics, log: log)
        mover = Mover(
            replicator: replicator, openMailboxes: openMailboxes, rate: configuration.storage.moveRate)
        repair = Repair(replicator: replicator)
        mender = CopyMender(replicator)
        waiting = WaitingForNodes(store: store)
        relayInboxes = Dictionary(uniqueKeysWithValues: configuration.relays.map { ($0.name, RelayInbox()) })
        housekeeping = configuration.storage
        self.node = node
        current = Mutex(StorageSessions(configuration, node: node))
    }

    /// What sessions that begin now are told.
    var sessions: StorageSessions { current.withLock { $0 } }

    func reload(_ configuration: ClusterConfiguration) {
        let new = StorageSessions(configuration, node: node)
        current.withLock { $0 = new }
        let map = ClusterMap(configuration)
        guard replicator.peers.map != map else { return }
        log.notice("membership", metadata: ["epoch": "\(map.epoch)", "settled": "\(map.settledEpoch)"])
        replicator.adopt(map)
    }

    /// Who copies may be kept for here, as `XFOR` says it: another node, perhaps of an epoch that this one has not heard of
    /// yet, or a site.
    func spoolTarget(_ name: String) -> SpoolTarget? {
        if name.hasPrefix(Sites.mark) { return SpoolTarget(site: name.dropFirst(Sites.mark.count)) }
        return name != node.name ? SpoolTarget(node: name) : nil
    }

    var sites: Sites { replicator.sites }

    var name: String { node.name }

    /// How it stands with moves, handoff and repair.
    func status() async -> NodeStatus {
        let map = replicator.peers.map
        let (moves, comparison) = (mover.progress, repair.progress)
        var status = NodeStatus()
        status.epoch = map.epoch
        status.settledEpoch = map.settledEpoch
        status.ring = moves.ring
        status.strays = moves.partitions
        status.straysLeft = moves.left
        status.isLooking = moves.isLooking || moves.epoch != map.epoch
        status.obstacle = moves.obstacle
        status.messagesMoved = mover.transfer.messages
        status.octetsMoved = mover.transfer.octets
        status.repairPartitions = comparison.partitions
        status.repairDone = comparison.done
        let waiting = await waiting.look()
        status.mailboxesWaiting = waiting.mailboxes
        status.mayMoreWait = waiting.isPart
        status.forgets = Forgetting(context: self).limit(status, oldestHeld: waiting.oldest)
        return status
    }

    /// What waits for another site, or for `relay:` and a relay's name, and is sent from here; nil if there is no such one.
    func status(ofSite name: String) async -> SiteStatus? {
        if name.hasPrefix(SiteStatus.relayMark) {
            return await relay(String(name.dropFirst(SiteStatus.relayMark.count)))?.status()
        }
        return await drain(to: name)?.status()
    }

    /// Sends what waits for a relay now: how much that is; nil if there is no such relay.
    func flush(relay name: String) async -> Int? { await relay(name)?.flush() }

    /// What became of a message of a queue that somebody fetches: it is sent, or its sender is told. False if there is no
    /// such relay.
    func settle(_ uidl: String, of queue: RelayQueue, _ verdict: Verdict) async -> Bool {
        guard let relay = relay(queue.relay) else { return false }
        await relay.settle(uidl, of: queue.number, verdict)
        return true
    }

    private func relay(_ name: String) -> RelayDrain? { relayDrains.withLock { $0.first { $0.settings.name == name } } }

    /// A message has come into a mailbox, which may be a relay's queue.
    func noteStored(_ identity: MessageIdentity, octets: Int, in mailbox: MailboxName) {
        guard !relayInboxes.isEmpty, let queue = RelayQueue(mailbox) else { return }
        relayInboxes[queue.relay]?.note(
            RelayInbox.Arrival(queue: queue.number, identity: identity, octets: octets))
    }

    func partition(of mailbox: MailboxName) -> Int { replicator.key(of: mailbox).partition }
}

/// What a storage node tells its sessions.
struct StorageSessions: Sendable {
    let lmtp: SMTPServerSettings
    let lmtpTimes: ConnectionTimes
    let pop3: POP3ServerSettings
    let pop3Times: ConnectionTimes

    init(_ configuration: ClusterConfiguration, node: NodeSettings) {
        // What clients may do was the frontend's business.
        let limits = SMTPLimits.hop(
            transactionsInFlightMax: configuration.smtp.limits.transactionsInFlightMax)
        lmtp = SMTPServerSettings(hostname: node.name, service: .cluster, limits: limits)
        lmtpTimes = ConnectionTimes(idle: configuration.smtp.sessionTimeMax, total: .zero)
        var pop3 = POP3ServerSettings(hostname: configuration.hostname, service: .node)
        pop3.limits = configuration.pop3.limits
        pop3.mechanisms = configuration.authentication.offered.filter { $0 != .login }
        self.pop3 = pop3
        pop3Times = ConnectionTimes(idle: configuration.pop3.sessionTimeMax, total: .zero)
    }
}
