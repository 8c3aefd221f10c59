import Cluster
import Directory
import Hops
import Logging
import Mail
import Membership
import NIOCore
import POP3
import SASL
import SMTP
import Synchronization
import Wire

/// What all connections of one frontend process share. Nothing here outlives the process, and nothing of it is about a
/// client: a frontend keeps no state.
final class FrontendContext: Sendable {
    let log: Logger
    let metrics = FrontendMetrics()
    let clock = SystemClock()
    let identifiers: Identifiers
    let directory: CachedDirectory
    let login: LoginGate
    let links: PerLoop<NodeLinks>
    /// In the order of the ring's members.
    let health: [NodeHealth]
    let map: ClusterMap
    /// Octets of one message that are held in memory before it streams.
    let gatherBytesMax: Int
    let durableCopies: Int
    let streamSettings: SMTPClientSettings
    let streamTimes: ConnectionTimes
    /// How long a node may take to answer.
    let answerTimeout: Duration
    /// How long a node may take before another one is asked too.
    let lagTimeout: Duration
    private let hop: HopTLS
    private let connectTimeout: Duration
    private let tls: Mutex<ServerTLS?>

    init(
        _ configuration: ClusterConfiguration, frontend: FrontendSettings, directory: any AccountDirectory,
        tls: ServerTLS?, hopTLS: ClientTLS?, group: any EventLoopGroup, log: Logger
    ) {
        let delivery = configuration.delivery
        let connectTimeout = delivery.connectTimeout
        self.log = log
        answerTimeout = delivery.timeout
        lagTimeout = delivery.handoffAfter
        let hop = HopTLS(hopTLS)
        self.hop = hop
        self.connectTimeout = connectTimeout
        self.tls = Mutex(tls)
        let map = ClusterMap(configuration)
        self.map = map
        identifiers = Identifiers(origin: frontend.name, clock: clock)
        gatherBytesMax = configuration.smtp.bodyBufferBytesMax
        durableCopies = configuration.cluster.durableCopies
        self.directory = CachedDirectory(
            wrapping: directory, entriesMax: configuration.directory.cacheEntriesMax,
            lifetime: configuration.directory.cacheLifetime)
        let throttle = configuration.authentication.throttle
        login = LoginGate(
            directory: directory,
            throttle: LoginThrottle.Settings(
                delayFirst: throttle.delay, delayMax: throttle.delayMax, forgetting: throttle.forgetting,
                entriesMax: throttle.entriesMax),
            clock: clock, metrics: metrics, log: log)
        let linkSettings = NodeLinkSettings(
            timeout: delivery.timeout, lagTimeout: delivery.handoffAfter, idleTimeout: delivery.idleTimeout,
            connectionsMax: delivery.connectionsPerNode, inFlightMax: delivery.inFlightPerConnectionMax,
            reconnect: ReconnectBackoff(first: delivery.reconnectDelay, max: delivery.reconnectDelayMax),
            clientName: frontend.name)
        let health = map.nodes.map { [clock] _ in NodeHealth(clock: clock.monotonic) }
        self.health = health
        links = PerLoop(group) { loop in
            NodeLinks(eventLoop: loop, health: health, settings: linkSettings, log: log) { node in
                Self.target(map[node].lmtp, of: map[node], tls: hop.value, timeout: connectTimeout)
            }
        }
        streamSettings = SMTPClientSettings(mode: .lmtp, clientName: frontend.name)
        streamTimes = ConnectionTimes(idle: configuration.smtp.idleTimeout + delivery.timeout, total: .zero)
    }

    /// The certificate that clients see; a reload changes it for connections to come.
    var serverTLS: ServerTLS? {
        get { tls.withLock { $0 } }
        set { tls.withLock { $0 = newValue } }
    }

    /// What nodes see of this frontend; for connections to come.
    func setHopTLS(_ tls: ClientTLS?) { hop.value = tls }

    /// Where a node takes POP3 sessions.
    func pop3Target(_ node: Ring.NodeIndex) -> DialTarget {
        Self.target(map[node].pop3, of: map[node], tls: hop.value, timeout: connectTimeout)
    }

    private static func target(
        _ endpoint: Endpoint, of node: NodeSettings, tls: ClientTLS?, timeout: Duration
    ) -> DialTarget {
        DialTarget(
            endpoint: endpoint, tls: node.trusted ? nil : tls, certificateName: node.name, timeout: timeout)
    }

    /// The nodes that a mailbox's POP3 sessions may go to, those first that are likely to answer.
    func owners(of mailbox: MailboxName) -> [Ring.NodeIndex] {
        let owners = map.owners(of: mailbox)
        return owners.filter { !health[Int($0)].isSuspect } + owners.filter { health[Int($0)].isSuspect }
    }

    /// Whether mail for a recipient is taken (RFC 5321 §3.3, §3.6).
    func verdict(on resolution: Resolution, for query: SMTPRecipientQuery, eventLoop: any EventLoop) -> Verdict {
        switch resolution {
        case .unknownUser, .mailboxes([]):
            return .refused(Reason(550, "5.1.1", "<\(query.address)>: no such user here"))
        case .foreignDomain:
            return .refused(
                Reason(550, "5.7.1", "<\(query.address)>: relaying denied, mail for this domain is not taken here"))
        case .mailboxes:
            let links = links[eventLoop]
            let reachable = map.ring.members.indices.lazy.filter { links[Ring.NodeIndex($0)].isReachable }
            guard reachable.prefix(durableCopies).count >= durableCopies else {
                return .deferred(
                    Reason(
                        451, "4.4.1",
                        "<\(query.address)>: too few storage nodes can be reached now, try again later"))
            }
            return .accepted
        }
    }
}

extension Resolution {
    var destinations: [Destination] {
        switch self {
        case .mailboxes(let destinations): destinations
        case .unknownUser, .foreignDomain: []
        }
    }
}
