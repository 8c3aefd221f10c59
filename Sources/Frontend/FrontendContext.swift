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
    /// Who may have mail that waits, and how.
    let turns: TurnRequests
    /// Octets of one message that are held in memory before it streams.
    let gatherBytesMax: Int
    /// For messages of QMTP and QMQP.
    let textMemory: TextMemory
    let durableCopies: Int
    let deliveredTo: DeliverySettings.DeliveredTo
    private let sites: [SiteSettings]
    let relays: RelayRoutes
    let streamSession: LinkSession
    let streamTimes: ConnectionTimes
    /// How long a node may take to answer.
    let answerTimeout: Duration
    /// How long a node may take before another one is asked too.
    let lagTimeout: Duration
    /// For what belongs to no client's connection.
    let eventLoop: any EventLoop
    private let routeSettings: NodeRoutes.Settings
    private let current: Mutex<NodeRoutes>
    private let tls: Mutex<ServerTLS?>

    init(
        _ configuration: ClusterConfiguration, frontend: FrontendSettings, siteSecrets: [String: String],
        directory: any AccountDirectory, tls: ServerTLS?,
        hopTLS: ClientTLS?, group: any EventLoopGroup, log: Logger
    ) {
        let delivery = configuration.delivery
        self.log = log
        answerTimeout = delivery.timeout
        lagTimeout = delivery.handoffAfter
        self.tls = Mutex(tls)
        identifiers = Identifiers(origin: frontend.name, clock: clock)
        gatherBytesMax = configuration.smtp.bodyBufferBytesMax
        textMemory = TextMemory(bytesMax: configuration.smtp.qmtpBufferBytesMax)
        eventLoop = group.next()
        durableCopies = configuration.cluster.durableCopies
        deliveredTo = delivery.deliveredTo
        sites = configuration.sites
        relays = RelayRoutes(configuration.relays)
        turns = TurnRequests(relays)
        self.directory = CachedDirectory(
            wrapping: directory, entriesMax: configuration.directory.cacheEntriesMax,
            lifetime: configuration.directory.cacheLifetime)
        let throttle = configuration.authentication.throttle
        login = LoginGate(
            directory: directory,
            sites: SiteLogins(secrets: siteSecrets, seed: Array(identifiers.nonce().utf8)),
            throttle: LoginThrottle.Settings(
                delayFirst: throttle.delay, delayMax: throttle.delayMax, forgetting: throttle.forgetting,
                entriesMax: throttle.entriesMax),
            clock: clock, metrics: metrics, log: log)
        let linkSettings = NodeLinkSettings(
            timeout: delivery.timeout, lagTimeout: delivery.handoffAfter, idleTimeout: delivery.idleTimeout,
            connectionsMax: delivery.connectionsPerNode,
            reconnect: ReconnectBackoff(first: delivery.reconnectDelay, max: delivery.reconnectDelayMax),
            session: LinkSession(
                SMTPClientSettings(
                    mode: .lmtp, clientName: frontend.name,
                    transactionsInFlightMax: delivery.inFlightPerConnectionMax)))
        routeSettings = NodeRoutes.Settings(
            link: linkSettings, connectTimeout: delivery.connectTimeout, hopTLS: HopTLS(hopTLS), clock: clock,
            group: group, log: log)
        current = Mutex(NodeRoutes(ClusterMap(configuration), settings: routeSettings))
        streamSession = LinkSession(SMTPClientSettings(mode: .lmtp, clientName: frontend.name))
        streamTimes = ConnectionTimes(idle: configuration.smtp.idleTimeout + delivery.timeout, total: .zero)
    }

    /// The certificate that clients see; a reload changes it for connections to come.
    var serverTLS: ServerTLS? {
        get { tls.withLock { $0 } }
        set { tls.withLock { $0 = newValue } }
    }

    /// What nodes see of this frontend; for connections to come.
    func setHopTLS(_ tls: ClientTLS?) { routeSettings.hopTLS.value = tls }

    /// The ways to the storage nodes, for what begins now.
    var routes: NodeRoutes { current.withLock { $0 } }

    /// Goes on with another epoch, or with other addresses; what is under way ends as it began.
    func adopt(_ map: ClusterMap) {
        guard routes.map != map else { return }
        log.notice("membership", metadata: ["epoch": "\(map.epoch)", "settled": "\(map.settledEpoch)"])
        let old = current.withLock { current in
            let old = current
            current = NodeRoutes(map, settings: routeSettings, after: old)
            return old
        }
        let time = answerTimeout
        Task {
            // A message may have begun that is handed over only when it is whole.
            try? await Task.sleep(for: time)
            await old.quit(within: time)
        }
    }

    /// Whether mail for a recipient is taken (RFC 5321 §3.3, §3.6).
    func verdict(on resolution: Resolution, for query: SMTPRecipientQuery, eventLoop: any EventLoop) -> Verdict {
        switch resolution {
        case .unknownUser, .mailboxes([]):
            return .refused(Reason(550, "5.1.1", "<\(query.address)>: no such user here"))
        case .foreignDomain:
            return .refused(
                Reason(550, "5.7.1", "<\(query.address)>: relaying denied, mail for this domain is not taken here"))
        case .mailboxes(let destinations):
            if let site = query.user?.site,
                !sites.contains(where: { $0.name == site && $0.shares(query.address.domain) })
            {
                return .refused(
                    Reason(550, "5.7.1", "<\(query.address)>: this domain is not shared with the site \(site)"))
            }
            if let wanted = query.mailbox, !destinations.contains(where: { $0.mailbox == wanted }) {
                return .refused(
                    Reason(550, "5.1.6", "<\(query.address)> has another mailbox here than \(wanted)"))
            }
            return verdictOnNodes(for: query, eventLoop: eventLoop)
        }
    }

    /// Whether enough storage nodes can be reached to keep a recipient's message.
    func verdictOnNodes(for query: SMTPRecipientQuery, eventLoop: any EventLoop) -> Verdict {
        guard !routes.canReach(durableCopies, from: eventLoop) else { return .accepted }
        return .deferred(
            Reason(451, "4.4.1", "<\(query.address)>: too few storage nodes can be reached now, try again later"))
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
