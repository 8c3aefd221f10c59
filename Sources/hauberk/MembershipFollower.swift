import Etcd
import Logging
import Membership
import NIOPosix
import ServiceLifecycle

/// The membership of a cluster that keeps it in etcd, for one process: what it begins with, and what comes after.
struct MembershipFollower: Sendable {
    /// The file's configuration, with etcd's membership or that of the cache.
    let configuration: ClusterConfiguration
    private let held: MembershipSource<ClusterConfiguration>.Held
    private let source: MembershipSource<ClusterConfiguration>
    private let etcd: EtcdMembership
    private let client: EtcdClient

    /// How long a process that never had a membership waits for etcd.
    private static let patience = Duration.seconds(30)

    /// - Parameters:
    ///   - configuration: as the file has it; its `membership.kind` must be etcd.
    ///   - names: the frontends and nodes that the process is to run; none for all.
    init(_ configuration: ClusterConfiguration, names: [String]) async throws {
        let log = Logger(label: "membership")
        client = try EtcdClient(EtcdSettings(configuration), group: MultiThreadedEventLoopGroup.singleton, log: log)
        etcd = EtcdMembership(client: client, prefix: configuration.membershipPrefix, log: log)
        source = MembershipSource(
            configuration, etcd: etcd, name: names.isEmpty ? configuration.cluster.name : names.joined(separator: "+"),
            log: log)
        do {
            held = try await source.start(patience: Self.patience)
        } catch {
            await client.shutdown()
            throw CommandFailure("\(error)")
        }
        self.configuration = held.membership
    }

    /// What runs beside the process's own services.
    ///
    /// - Parameter nodes: the storage nodes that the process runs, which register with etcd.
    func service(nodes: [String], reload: ReloadService) -> any Service {
        FollowerService(follower: self, nodes: nodes, reload: reload)
    }

    private struct FollowerService: Service {
        let follower: MembershipFollower
        let nodes: [String]
        let reload: ReloadService

        func run() async throws {
            await cancelWhenGracefulShutdown {
                await withTaskGroup { group in
                    let leaseTime = follower.configuration.membership.etcd.leaseTime
                    for node in nodes {
                        group.addTask { await follower.etcd.register(node, leaseTime: leaseTime) }
                    }
                    group.addTask {
                        for await held in follower.source.changes(after: follower.held) { reload.take(held.membership) }
                    }
                }
            }
            await follower.client.shutdown()
        }
    }
}
