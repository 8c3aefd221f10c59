import Cluster
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
    private let node: NodeSettings
    private let ring: Ring
    private let current: Mutex<StorageSessions>

    init(
        _ configuration: ClusterConfiguration, node: NodeSettings, store: MaildirStore, peers: ReplicaPeers, log: Logger
    ) {
        self.log = log
        self.store = store
        replicator = Replicator(configuration, store: store, peers: peers, metrics: metrics, log: log)
        housekeeping = configuration.storage
        self.node = node
        ring = configuration.ring()
        current = Mutex(StorageSessions(configuration, node: node))
    }

    /// What sessions that begin now are told.
    var sessions: StorageSessions { current.withLock { $0 } }

    func reload(_ configuration: ClusterConfiguration) {
        let new = StorageSessions(configuration, node: node)
        current.withLock { $0 = new }
    }

    /// Another node of the ring, for which copies may be kept here.
    func handoffTarget(_ name: String) -> HandoffTarget? {
        name != node.name && ring.index(of: name) != nil ? HandoffTarget(name) : nil
    }

    var name: String { node.name }

    func partition(of mailbox: MailboxName) -> Int { ring.partition(of: mailbox) }
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
        pop3.mechanisms = configuration.authentication.mechanisms.filter { $0 != .login }
        self.pop3 = pop3
        pop3Times = ConnectionTimes(idle: configuration.pop3.sessionTimeMax, total: .zero)
    }
}
