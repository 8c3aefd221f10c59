package import Mail

/// The whole static file: who is in the cluster, how they speak, and every limit.
///
/// One file describes the whole cluster and is the same on every machine; a process is told its name.
package struct ClusterConfiguration: Sendable {
    package var cluster = ClusterSettings()
    /// The name in greetings and in `Received:`; empty for this machine's own.
    package var hostname = ""
    /// Threads of each process that serve connections; nil for one per core.
    package var eventLoops: Int?
    package var trust = TrustSettings()
    package var frontends: [FrontendSettings] = []
    package var nodes: [NodeSettings] = []
    package var sites: [SiteSettings] = []
    package var relays: [RelaySettings] = []
    package var bounces = BounceSettings()
    package var membership = MembershipSettings()
    package var directory = DirectorySettings()
    package var authentication = AuthenticationSettings()
    package var smtp = SMTPSettings()
    package var pop3 = POP3Settings()
    package var delivery = DeliverySettings()
    package var storage = StorageSettings()
    package var telemetry = TelemetryDefaults()
    /// The folder that relative paths start from: HAUBERK_HOME, absolute.
    package internal(set) var home = ""
    /// Where it was read from.
    package internal(set) var file = ""
    /// What works, and will be a trouble one day.
    package internal(set) var warnings: [ConfigurationProblem] = []

    package init() {}

    package func frontend(named name: String) -> FrontendSettings? { frontends.first { $0.name == name } }

    package func node(named name: String) -> NodeSettings? { nodes.first { $0.name == name } }

    /// The names of all processes, frontends first, as the file has them.
    package var processNames: [String] { frontends.map(\.name) + nodes.map(\.name) }
}

/// What is fixed for the cluster as a whole.
package struct ClusterSettings: Sendable, Equatable {
    package var name = "hauberk"
    package var partitions = 4096
    package var replicas = 1
    package var durableCopies = 1
    /// One line per epoch of the ring, as `RingHistory` reads them; empty while the founding members are all there.
    package var epochs: [String] = []
    /// The last epoch whose mail all lies with its owners, counted from 1; 0 if none was said to.
    package var settled = 0
}

/// How processes of the cluster know each other.
package struct TrustSettings: Sendable, Equatable {
    package enum Mode: String, Sendable, CaseIterable {
        /// Each hop is TLS, and both sides show a certificate of the cluster's CA.
        case mutualTLS = "mutual-tls"
        /// Hops are plain; every node's address must be a loopback address or a Unix socket.
        case local
    }

    package var mode = Mode.mutualTLS
    package var ca = "certs/ca.pem"
    /// `${NAME}` stands for the process's name.
    package var certificate = "certs/${NAME}.pem"
    package var key = "certs/${NAME}.key"
}

/// One storage node.
package struct NodeSettings: Sendable, Equatable {
    package var name = ""
    package var zone: String?
    package var weight = 1
    package var lmtp = Endpoint.tcp(host: "", port: 0)
    package var pop3 = Endpoint.tcp(host: "", port: 0)
    package var data = "nodes/${NAME}"
    /// Plain although the other hops are TLS; only for loopback addresses and Unix sockets.
    package var trusted = false
    package var telemetry = TelemetrySettings()

    package init() {}
}

/// One frontend process with its listeners.
package struct FrontendSettings: Sendable, Equatable {
    package var name = ""
    /// As the cluster's, unless it is given.
    package var hostname: String?
    package var tls = CertificateSettings()
    package var listeners: [ListenerSettings] = []
    package var telemetry = TelemetrySettings()
}

/// The certificate that clients see, in PEM files.
package struct CertificateSettings: Sendable, Equatable {
    package var certificate: String?
    package var key: String?
}

/// One address that clients connect to.
package struct ListenerSettings: Sendable, Equatable {
    package enum Service: String, Sendable, CaseIterable {
        case smtp, submission, submissions, lmtp, qmtp, qmqp, pop3, pop3s

        package var isPOP3: Bool { self == .pop3 || self == .pop3s }
        package var isImplicitTLS: Bool { self == .submissions || self == .pop3s }
        /// Whether it knows no TLS at all.
        package var isPlain: Bool { self == .qmtp || self == .qmqp }
    }

    package enum TLSMode: String, Sendable, CaseIterable {
        case none, starttls, implicit
    }

    package var service = Service.smtp
    package var address = Endpoint.tcp(host: "", port: 0)
    /// What the file says; `tlsMode` is what follows from it.
    package var tls: TLSMode?
    /// Balancers whose PROXY header is demanded and believed; others may not send one.
    package var proxyFrom: [AddressRange] = []
    /// Who may connect; empty for everybody.
    package var clients: [AddressRange] = []
    /// What follows from `tls`, the service and whether the frontend has a certificate.
    package internal(set) var tlsMode = TLSMode.none
}

/// Where a process shows its metrics, and how it logs.
package struct TelemetrySettings: Sendable, Equatable {
    package var address: Endpoint?
    /// As `telemetry.logLevel`, unless it is given.
    package var logLevel: LogLevel?
    /// As `telemetry.logFormat`, unless it is given.
    package var logFormat: LogFormat?
}

/// How processes log that do not say it themselves.
package struct TelemetryDefaults: Sendable, Equatable {
    package var logLevel = LogLevel.info
    package var logFormat = LogFormat.text
}

/// The levels of swift-log.
package enum LogLevel: String, Sendable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}

/// Lines for people, or one JSON object a line.
package enum LogFormat: String, Sendable, CaseIterable {
    case text, json
}
