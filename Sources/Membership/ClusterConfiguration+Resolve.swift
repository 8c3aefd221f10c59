import Glibc
import Mail

extension ClusterConfiguration {
    /// Makes paths absolute and fills in what follows from other keys. Once more changes nothing.
    package mutating func resolve() {
        if hostname.isEmpty { hostname = Self.machineName() }
        trust.ca = resolved(trust.ca)
        directory.path = resolved(directory.path)
        membership.etcd.ca = membership.etcd.ca.map { resolved($0) }
        membership.etcd.certificate = membership.etcd.certificate.map { resolved($0) }
        membership.etcd.key = membership.etcd.key.map { resolved($0) }
        membership.etcd.passwordFile = membership.etcd.passwordFile.map { resolved($0) }
        for index in sites.indices {
            sites[index].secretFile = resolved(sites[index].secretFile)
            sites[index].trust = sites[index].trust.placed { resolved($0) }
        }
        for index in relays.indices {
            relays[index].trust = relays[index].trust.placed { resolved($0) }
            relays[index].passwordFile = relays[index].passwordFile.map { resolved($0) }
        }
        for index in nodes.indices {
            nodes[index].data = resolved(nodes[index].data, name: nodes[index].name)
        }
        for index in frontends.indices {
            let name = frontends[index].name
            frontends[index].tls.certificate = frontends[index].tls.certificate.map { resolved($0, name: name) }
            frontends[index].tls.key = frontends[index].tls.key.map { resolved($0, name: name) }
            for place in frontends[index].listeners.indices {
                let listener = frontends[index].listeners[place]
                let isPlain = frontends[index].tls.certificate == nil || listener.service.isPlain
                let offered: ListenerSettings.TLSMode = isPlain ? .none : .starttls
                frontends[index].listeners[place].tlsMode =
                    listener.tls ?? (listener.service.isImplicitTLS ? .implicit : offered)
            }
        }
    }

    /// The PEM files that a process shows to other processes of the cluster.
    package func hopIdentity(of name: String) -> HopIdentity {
        HopIdentity(
            ca: trust.ca, certificate: resolved(trust.certificate, name: name), key: resolved(trust.key, name: name))
    }

    /// Whether hops to the node are plain.
    package func isPlain(_ node: NodeSettings) -> Bool { trust.mode == .local || node.trusted }

    package func logLevel(of telemetry: TelemetrySettings) -> LogLevel { telemetry.logLevel ?? self.telemetry.logLevel }

    package func logFormat(of telemetry: TelemetrySettings) -> LogFormat {
        telemetry.logFormat ?? self.telemetry.logFormat
    }

    package func hostname(of frontend: FrontendSettings) -> String { frontend.hostname ?? hostname }

    func resolved(_ path: String, name: String = "") -> String {
        let path = path.replacing("${NAME}", with: name)
        return path.hasPrefix("/") ? path : "\(home)/\(path)"
    }

    private static func machineName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return name.isEmpty ? "localhost" : name
    }
}

/// The PEM files of one process for hops inside the cluster.
package struct HopIdentity: Sendable, Equatable {
    package let ca: String
    package let certificate: String
    package let key: String

    package init(ca: String, certificate: String, key: String) {
        self.ca = ca
        self.certificate = certificate
        self.key = key
    }
}
