import Etcd
import Logging
import Membership
import NIOPosix

extension EtcdSettings {
    /// How the configuration reaches etcd; reads the password's file.
    init(_ configuration: ClusterConfiguration) throws {
        let etcd = configuration.membership.etcd
        self.init(endpoints: etcd.endpoints.map(\.description))
        timeout = etcd.timeout
        authority = etcd.ca
        certificate = etcd.certificate
        key = etcd.key
        user = etcd.user
        password = try etcd.passwordFile.map { try SecretFile.firstLine(of: $0, for: "membership.etcd.passwordFile") }
    }
}

extension EtcdMembership {
    /// Gives `body` the membership in etcd that the configuration names, and ends the connections behind it.
    static func with<Result>(
        _ configuration: ClusterConfiguration, _ body: (EtcdMembership) async throws -> Result
    ) async throws -> Result {
        let log = Logger(label: "etcd")
        var settings = try EtcdSettings(configuration)
        settings.patience = .seconds(15)
        let client = try EtcdClient(settings, group: MultiThreadedEventLoopGroup.singleton, log: log)
        let membership = EtcdMembership(client: client, prefix: configuration.membershipPrefix, log: log)
        let result: Result
        do {
            result = try await body(membership)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
        return result
    }
}

extension MembershipSource where Membership == ClusterConfiguration {
    /// The memberships of one process, each as a whole configuration.
    ///
    /// - Parameters:
    ///   - configuration: the file's; its own history is where that of every membership begins.
    ///   - name: the process's, for its cache.
    init(_ configuration: ClusterConfiguration, etcd: EtcdMembership, name: String, log: Logger) {
        self.init(
            etcd: etcd, cache: MembershipCache(path: configuration.membershipCache(of: name)), log: log
        ) { [origin = etcd.key] text, known in
            try (known ?? configuration).adopting(membership: text, origin: origin)
        }
    }
}
