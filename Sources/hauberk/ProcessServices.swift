import Directory
import Frontend
import Logging
import Mail
import Membership
import NIOPosix
import ServiceLifecycle
import Storage
import Telemetry
import Wire

/// The running parts of one process.
struct ProcessServices: Sendable {
    /// In the order of their start; they stop in reverse, frontends before the nodes that they need.
    let all: [any Service]
    private let frontends: [(name: String, service: FrontendService)]
    private let nodes: [(name: String, service: StorageService)]

    init(plan: ProcessPlan, registry: PrometheusRegistry) async throws {
        let configuration = plan.configuration
        let group = MultiThreadedEventLoopGroup.singleton
        let secrets = try configuration.siteSecrets()
        let passwords = try configuration.relayPasswords()
        nodes = try plan.nodes.map { node in
            let service = try StorageService(
                configuration, node: node, siteSecrets: secrets, relayPasswords: passwords,
                tls: ServerTLS(hopOf: node, configuration), hopTLS: ClientTLS(hopsOf: node.name, configuration),
                group: group, log: Logger(label: node.name))
            return (node.name, service)
        }
        let directory = plan.frontends.isEmpty ? nil : SQLiteDirectory(configuration.directory)
        frontends = try plan.frontends.map { frontend in
            guard let directory else { preconditionFailure("frontends without a directory") }
            let service = FrontendService(
                configuration, frontend: frontend, siteSecrets: secrets, directory: directory,
                tls: try ServerTLS(listenersOf: frontend),
                hopTLS: try ClientTLS(hopsOf: frontend.name, configuration), group: group,
                log: Logger(label: frontend.name))
            return (frontend.name, service)
        }
        let endpoints = (plan.nodes.map(\.telemetry) + plan.frontends.map(\.telemetry)).compactMap(\.address)
        // Bound before anything says that it is ready.
        var status: [StatusService] = []
        for endpoint in endpoints {
            status.append(try await StatusService(endpoint: endpoint, registry: registry, group: group))
        }
        all = status + nodes.map(\.service) + frontends.map(\.service)
    }

    /// Takes new limits and certificates.
    func reload(_ plan: ProcessPlan) throws {
        let configuration = plan.configuration
        // Everything is read before anything changes: what cannot be read leaves all as it was.
        let frontendTLS = try plan.frontends.map { frontend in
            (frontend, try ServerTLS(listenersOf: frontend), try ClientTLS(hopsOf: frontend.name, configuration))
        }
        let nodeTLS = try plan.nodes.map { node in
            (node, try ServerTLS(hopOf: node, configuration), try ClientTLS(hopsOf: node.name, configuration))
        }
        for (frontend, tls, hopTLS) in frontendTLS {
            for (name, service) in frontends where name == frontend.name {
                service.reload(configuration, frontend: frontend, tls: tls, hopTLS: hopTLS)
            }
        }
        for (node, tls, hopTLS) in nodeTLS {
            for (name, service) in nodes where name == node.name {
                service.reload(configuration, tls: tls, hopTLS: hopTLS)
            }
        }
    }
}

/// Serves a process's metrics while it runs.
struct StatusService: Service {
    private let status: StatusEndpoint

    init(endpoint: Endpoint, registry: PrometheusRegistry, group: MultiThreadedEventLoopGroup) async throws {
        status = try await StatusEndpoint.bind(
            endpoint, group: group, pages: ["/metrics": { registry.render() }, "/healthz": { "ok\n" }])
    }

    func run() async throws {
        try? await gracefulShutdown()
        await status.close()
    }
}

extension SQLiteDirectory {
    /// The directory that the configuration names, for a process that serves.
    convenience init(_ configuration: Membership.DirectorySettings) {
        self.init(settings: Directory.DirectorySettings(configuration), access: .frontend)
    }
}

extension ServerTLS {
    /// What a frontend's clients see; nil if it has no certificate.
    init?(listenersOf frontend: FrontendSettings) throws {
        guard let certificate = frontend.tls.certificate, let key = frontend.tls.key else { return nil }
        try self.init(certificate: certificate, key: key)
    }

    /// What a node's frontends see; nil if its hops are plain.
    init?(hopOf node: NodeSettings, _ configuration: ClusterConfiguration) throws {
        guard !configuration.isPlain(node) else { return nil }
        let identity = configuration.hopIdentity(of: node.name)
        try self.init(clusterCA: identity.ca, certificate: identity.certificate, key: identity.key)
    }
}

extension ClientTLS {
    /// What nodes see of a process; nil if all hops are plain.
    init?(hopsOf process: String, _ configuration: ClusterConfiguration) throws {
        guard configuration.nodes.contains(where: { !configuration.isPlain($0) }) else { return nil }
        let identity = configuration.hopIdentity(of: process)
        try self.init(clusterCA: identity.ca, certificate: identity.certificate, key: identity.key)
    }
}
