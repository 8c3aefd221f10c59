import Membership
import Testing

@Suite("Example files")
struct ExampleFilesTests {
    private static let folder =
        #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/cluster-config"

    @Test(
        "Every file in cluster-config passes the check", arguments: ["dev", "single-host", "three-hosts", "large-site"])
    func loads(name: String) throws {
        let configuration = try load(name)
        #expect(!configuration.frontends.isEmpty)
        #expect(ClusterMap(configuration).nodes.count == configuration.nodes.count)
        #expect(configuration.warnings.isEmpty)
    }

    private func load(_ name: String) throws(ConfigurationError) -> ClusterConfiguration {
        try ClusterConfiguration.load(
            path: "\(Self.folder)/\(name).yaml", environment: ["HAUBERK_HOME": "/srv/hauberk"])
    }

    @Test("The development cluster has the ports that its users were told")
    func developmentPorts() throws {
        let configuration = try load("dev")
        let listeners = configuration.frontends.flatMap { frontend in
            frontend.listeners.map { "\(frontend.name) \($0.service.rawValue) \($0.address) \($0.tlsMode.rawValue)" }
        }
        #expect(
            listeners == [
                "smtp-a smtp 127.0.0.1:2525 starttls", "smtp-a submission 127.0.0.1:5587 starttls",
                "smtp-b smtp 127.0.0.1:2526 starttls", "pop3-a pop3 127.0.0.1:1110 starttls",
                "pop3-a pop3s 127.0.0.1:1995 implicit", "pop3-b pop3 127.0.0.1:1111 starttls",
            ])
        #expect(configuration.nodes.map(\.data) == (1...3).map { "/srv/hauberk/nodes/store-\($0)" })
        #expect(configuration.nodes.allSatisfy { !configuration.isPlain($0) })
        #expect(
            configuration.hopIdentity(of: "store-2")
                == HopIdentity(
                    ca: "/srv/hauberk/certs/ca.pem", certificate: "/srv/hauberk/certs/store-2.pem",
                    key: "/srv/hauberk/certs/store-2.key"))
    }
}
