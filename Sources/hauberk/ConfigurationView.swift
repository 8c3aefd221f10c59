import Cluster
import Mail
import Membership

/// What a configuration comes to, in JSON and as a text.
struct ConfigurationView: Encodable {
    struct Listener: Encodable {
        let service: String
        let address: String
        let tls: String
    }

    struct Frontend: Encodable {
        let name: String
        let hostname: String
        let listeners: [Listener]
        let metrics: String?
    }

    struct Node: Encodable {
        let name: String
        let zone: String?
        let weight: Int
        let lmtp: String
        let pop3: String
        let hops: String
        let store: String
        let metrics: String?
    }

    struct Ring: Encodable {
        let epoch: UInt64
        let partitions: Int
        let replicas: Int
        let durableCopies: Int
    }

    let valid = true
    let file: String
    let home: String
    let cluster: String
    let trust: String
    let directory: String
    let ring: Ring
    let frontends: [Frontend]
    let nodes: [Node]
    let warnings: [ProblemsView.Problem]

    init(_ configuration: ClusterConfiguration) {
        file = configuration.file
        home = configuration.home
        cluster = configuration.cluster.name
        warnings = configuration.warnings.map(ProblemsView.Problem.init)
        trust = configuration.trust.mode.rawValue
        directory = configuration.directory.path
        ring = Ring(
            epoch: configuration.ring().epoch, partitions: configuration.cluster.partitions,
            replicas: configuration.cluster.replicas, durableCopies: configuration.cluster.durableCopies)
        frontends = configuration.frontends.map { frontend in
            Frontend(
                name: frontend.name, hostname: configuration.hostname(of: frontend),
                listeners: frontend.listeners.map {
                    Listener(service: $0.service.rawValue, address: "\($0.address)", tls: $0.tlsMode.rawValue)
                },
                metrics: frontend.telemetry.address?.description)
        }
        nodes = configuration.nodes.map { node in
            Node(
                name: node.name, zone: node.zone, weight: node.weight, lmtp: "\(node.lmtp)", pop3: "\(node.pop3)",
                hops: configuration.isPlain(node) ? "plain" : "TLS", store: node.data,
                metrics: node.telemetry.address?.description)
        }
    }

    var text: String {
        var listeners = TextTable(["frontend", "service", "address", "TLS", "metrics"])
        for frontend in frontends {
            for (index, listener) in frontend.listeners.enumerated() {
                let isFirst = index == 0
                listeners.add([
                    isFirst ? frontend.name : " ", listener.service, listener.address, listener.tls,
                    isFirst ? frontend.metrics ?? "" : " ",
                ])
            }
        }
        var stores = TextTable(["node", "zone", "weight", "lmtp", "pop3", "hops", "metrics", "store"], figures: [2])
        for node in nodes {
            stores.add([
                node.name, node.zone ?? "", "\(node.weight)", node.lmtp, node.pop3, node.hops, node.metrics ?? "",
                node.store,
            ])
        }
        let summary = TextTable.list([
            ("cluster", cluster), ("trust", trust), ("directory", directory),
            (
                "ring",
                "epoch \(ring.epoch), \(ring.partitions) partitions; owners of each: \(ring.replicas), "
                    + "durable copies before a 250: \(ring.durableCopies)"
            ),
        ])
        return "\(file) is good\n\n\(summary)\n\(listeners.text(empty: "no frontends"))\n"
            + stores.text(empty: "no nodes")
    }
}

/// All that is wrong with a configuration, in JSON.
struct ProblemsView: Encodable {
    struct Problem: Encodable {
        let file: String
        let line: Int
        let column: Int
        let key: String
        let message: String

        init(_ problem: ConfigurationProblem) {
            (file, line, column) = (problem.file, problem.line, problem.column)
            (key, message) = (problem.path, problem.message)
        }
    }

    let valid = false
    let problems: [Problem]

    init(_ error: ConfigurationError) {
        problems = error.problems.map(Problem.init)
    }
}
