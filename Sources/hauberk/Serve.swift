import ArgumentParser
import Frontend
import Logging
import Membership
import Metrics
import NIOCore
import ServiceLifecycle
import Storage
import Telemetry
import UnixSignals

/// Runs processes of the cluster in the foreground.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run one process of the cluster, or all of them in one, in the foreground.",
        discussion: """
            SIGTERM and SIGINT finish what is under way, for storage.drainTimeout at most, and stop. SIGHUP reads the configuration and the certificates \
            again, takes what a running process can take, and logs what needs a restart.

              hauberk serve --config cluster-config/dev.yaml --node store-1
            """)

    @OptionGroup var file: ConfigurationOption

    @Option(name: .customLong("node"), help: "The frontend or storage node to run; may be given again (default: all).")
    var names: [String] = []

    @Flag(
        help:
            "First make what is missing: folders and their marker files, the cluster's CA, certificates, the directory."
    )
    var `init` = false

    func run() async throws {
        ProcessLimits.prepare()
        let written = try file.load()
        if let loops = written.eventLoops { NIOSingletons.groupLoopCountSuggestion = loops }
        let first = try? ProcessPlan(written, names: names)
        let sink = LogSink(level: first?.logLevel ?? .info, format: first?.logFormat ?? .logfmt)
        LoggingSystem.bootstrap { label in sink.handler(label: label) }
        let follower = written.membership.kind == .etcd ? try await MembershipFollower(written, names: names) : nil
        let configuration = follower?.configuration ?? written
        let plan = try ProcessPlan(configuration, names: names)
        sink.level = plan.logLevel
        if `init` { try await Initialisation(plan: plan).run() }
        configuration.tellWarnings(Logger(label: "configuration"))
        let registry = PrometheusRegistry()
        MetricsSystem.bootstrap(registry)

        let services = try await ProcessServices(plan: plan, registry: registry)
        let reload = ReloadService(services: services, plan: plan, file: file, sink: sink)
        let others: [any Service] =
            [reload] + (follower.map { [$0.service(nodes: plan.nodes.map(\.name), reload: reload)] } ?? [])
        var group = ServiceGroupConfiguration(
            services: (others + Self.inOrder(services.all)).map { .init(service: $0) },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "services"))
        // One deadline for the whole process: when it comes, everything that is left ends at once.
        // Messages that are being stored have their nodes' time on top, or their senders would send them again.
        group.maximumGracefulShutdownDuration = configuration.storage.drainTimeout + configuration.delivery.timeout
        do {
            try await ServiceGroup(configuration: group).run()
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    /// They stop in reverse: all frontends, then all nodes, then what shows how they do.
    private static func inOrder(_ services: [any Service]) -> [any Service] {
        let nodes = services.filter { $0 is StorageService }
        let frontends = services.filter { $0 is FrontendService }
        let others = services.filter { !($0 is StorageService || $0 is FrontendService) }
        return others + [nodes, frontends].filter { !$0.isEmpty }.map { ServicesTogether(services: $0) }
    }
}

extension ClusterConfiguration {
    /// Logs what works now and will be a trouble one day.
    func tellWarnings(_ log: Logger) {
        for warning in warnings { log.warning("\(warning.message)", metadata: ["key": "\(warning.path)"]) }
    }
}
