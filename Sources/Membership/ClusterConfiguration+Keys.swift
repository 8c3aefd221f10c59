import Mail

extension ClusterConfiguration: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .section("cluster", \.cluster),
            .value(
                "hostname", \.hostname, .hostname,
                "Name in greetings and in `Received:` fields"),
            .value(
                "eventLoops", \.eventLoops, .optional(.integer(1...1_024), "one per core"),
                "Threads of each process that serve connections: fewer than cores where processes share a machine"),
            .section("trust", \.trust),
            .sections("frontends", \.frontends),
            .sections("nodes", \.nodes, comeAndGo: true),
            .sections("sites", \.sites),
            .sections("relays", \.relays),
            .section("bounces", \.bounces),
            .section("membership", \.membership),
            .section("directory", \.directory),
            .section("authentication", \.authentication),
            .section("smtp", \.smtp),
            .section("pop3", \.pop3),
            .section("delivery", \.delivery),
            .section("storage", \.storage),
            .section("telemetry", \.telemetry),
        ]
    }
}

extension ConfigurationKind where Value == String {
    /// A domain name, or empty for the machine's own.
    static var hostname: Self {
        let domain = domain
        return Self(
            type: domain.type, allowed: domain.allowed, parse: domain.parse,
            print: { $0.isEmpty ? "the machine's own name" : $0 })
    }
}

extension ClusterSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value("name", \.name, .name, "The cluster's name; it is written into every store's marker file"),
            .value(
                "partitions", \.partitions, .integer(1...1_048_576),
                "Partitions of the ring, fixed at the cluster's birth: at least 20 for each node you may ever have"),
            .value("replicas", \.replicas, .integer(1...16), "Owners of each partition (R)"),
            .value("durableCopies", \.durableCopies, .integer(1...16), "Durable copies before the client's 250 (W)"),
            .list(
                "epochs", \.epochs, .epoch,
                "The ring's history, one line per epoch: all founding members, then what changed "
                    + "(`+store-4`, `-store-1`, `store-2=3`); without it the nodes are the founding members",
                isLive: true),
            .value(
                "settled", \.settled, .integer(0...1_000_000),
                "The last epoch whose mail all lies with its owners, counted from 1 (`hauberk ring settle` says when): "
                    + "mailboxes are also looked for at the owners of this epoch and of those after it", isLive: true),
        ]
    }
}

extension TrustSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value(
                "mode", \.mode, .choice,
                "Hops inside the cluster: TLS with certificates on both sides, or plain between local addresses only"),
            .value("ca", \.ca, .path, "The cluster's CA certificate (PEM)"),
            .value(
                "certificate", \.certificate, .pathOfProcess,
                "A process's certificate for hops (PEM); `${NAME}` is the process's name"),
            .value("key", \.key, .pathOfProcess, "The key of that certificate (PEM)"),
        ]
    }
}

extension NodeSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    var listName: String? { name }
    static var keys: [SectionKey<Self>] {
        [
            .value("name", \.name, .name, "The storage node's name, for ever", required: true),
            .value(
                "zone", \.zone, .optional(.name, "none"), "What fails together with it; replicas go to different zones",
                isLive: true),
            .value(
                "weight", \.weight, .integer(0...10_000),
                "Its share of the mail, compared with the other nodes; 0 for one that is to be emptied", isLive: true),
            .value(
                "lmtp", \.lmtp, .endpoint,
                "Where it takes messages from frontends and nodes; `${NAME}` is its name", required: true),
            .value("pop3", \.pop3, .endpoint, "Where it takes sessions from frontends and nodes", required: true),
            .value("data", \.data, .pathOfProcess, "The root of its store; `${NAME}` is its name"),
            .value(
                "trusted", \.trusted, .bool,
                "Plain hops to this node although `trust.mode` is `mutual-tls`; loopback and Unix sockets only"),
            .section("telemetry", \.telemetry),
        ]
    }
}

extension FrontendSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    var listName: String? { name }
    static var keys: [SectionKey<Self>] {
        [
            .value("name", \.name, .name, "The frontend's name", required: true),
            .value("hostname", \.hostname, .optional(.domain, "`hostname`"), "Name in its greetings"),
            .section("tls", \.tls),
            .sections("listeners", \.listeners),
            .section("telemetry", \.telemetry),
        ]
    }
}

extension CertificateSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .replaceable(
                "certificate", \.certificate, .optional(.path, "none"),
                "The certificate chain that clients see (PEM); `${NAME}` is the frontend's name"),
            .replaceable("key", \.key, .optional(.path, "none"), "The key of that certificate (PEM)"),
        ]
    }
}

extension ListenerSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    var listName: String? { address.description }
    static var keys: [SectionKey<Self>] {
        [
            .value("service", \.service, .choice, "What is spoken there", required: true),
            .value("address", \.address, .endpoint, "Where clients connect", required: true),
            .value(
                "tls", \.tls, .optional(.choice, "by service"),
                "`implicit` for submissions and pop3s, `none` for qmtp and qmqp; otherwise `starttls` if there is a "
                    + "certificate"),
            .list(
                "proxyFrom", \.proxyFrom, .addressRange,
                "Balancers that begin each connection with a PROXY header (v1 or v2)", isLive: true),
            .list(
                "clients", \.clients, .addressRange,
                "Who may connect; without it everybody may, but not to qmqp. A Unix socket's permissions say who may there",
                isLive: true),
        ]
    }
}

extension TelemetrySettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value(
                "address", \.address, .optional(.endpoint, "none"),
                "Where the process serves its metrics (Prometheus text): a TCP port of the loopback interface"),
            .value(
                "logLevel", \.logLevel, .optional(.choice, "`telemetry.logLevel`"), "Its least log level", isLive: true),
            .value("logFormat", \.logFormat, .optional(.choice, "`telemetry.logFormat`"), "The form of its log"),
        ]
    }
}

extension TelemetryDefaults: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value("logLevel", \.logLevel, .choice, "The least level that is logged", isLive: true),
            .value("logFormat", \.logFormat, .choice, "Log lines for people, or JSON objects"),
        ]
    }
}
