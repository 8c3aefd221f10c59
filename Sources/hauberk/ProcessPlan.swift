import Logging
import Membership
import Telemetry

/// Which parts of the configuration one process runs.
struct ProcessPlan {
    let configuration: ClusterConfiguration
    let frontends: [FrontendSettings]
    let nodes: [NodeSettings]

    /// - Parameter names: frontends and storage nodes; none for all.
    init(_ configuration: ClusterConfiguration, names: [String]) throws {
        for name in names where !configuration.processNames.contains(name) {
            let known = configuration.processNames.joined(separator: ", ")
            throw CommandFailure("\(configuration.file) has no frontend or node \(name); it has: \(known)")
        }
        self.configuration = configuration
        frontends = configuration.frontends.filter { names.isEmpty || names.contains($0.name) }
        nodes = configuration.nodes.filter { names.isEmpty || names.contains($0.name) }
    }

    var names: [String] { frontends.map(\.name) + nodes.map(\.name) }

    /// The same processes, as another state of the file has them.
    func reloaded(_ new: ClusterConfiguration) throws -> ProcessPlan {
        try ProcessPlan(configuration.reloading(new), names: names)
    }

    /// The certificates that its listeners and hops show, each once, as SIGHUP reads them.
    var certificates: [String] {
        var paths = frontends.compactMap(\.tls.certificate)
        if configuration.nodes.contains(where: { !configuration.isPlain($0) }) {
            paths += names.map { configuration.hopIdentity(of: $0).certificate }
        }
        return paths.enumerated().filter { paths.firstIndex(of: $1) == $0 }.map(\.element)
    }

    private var telemetry: [TelemetrySettings] { frontends.map(\.telemetry) + nodes.map(\.telemetry) }

    /// The most talkative of what its parts ask for.
    var logLevel: Logger.Level {
        telemetry.compactMap { Logger.Level(rawValue: configuration.logLevel(of: $0).rawValue) }.min() ?? .info
    }

    var logFormat: Telemetry.LogFormat {
        telemetry.contains { configuration.logFormat(of: $0) == .json } ? .json : .logfmt
    }
}
