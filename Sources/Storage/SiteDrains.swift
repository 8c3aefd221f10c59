import Maildirs
import Membership
import NIOCore
import Wire

/// This node's ways to all other sites.
struct SiteDrains {
    let drains: [SiteDrain]

    /// - Parameters:
    ///   - secrets: what this site shares with each other one, by the other's name.
    /// - Throws: a TLS file that cannot be used.
    init(
        _ configuration: ClusterConfiguration, secrets: [String: String], replicator: Replicator,
        group: any EventLoopGroup
    ) async throws {
        var drains: [SiteDrain] = []
        for site in replicator.sites.peers {
            guard let secret = secrets[site.name], let target = SpoolTarget(site: site.name) else {
                preconditionFailure("site \(site.name) has no secret")
            }
            let tls = site.tls == .none ? nil : try ClientTLS(roots: site.ca)
            let link = try await SiteLink.make(
                site, own: replicator.sites.own, hostname: configuration.hostname, secret: secret, tls: tls,
                on: group.next(), log: replicator.log)
            drains.append(SiteDrain(replicator: replicator, site: link, target: target))
        }
        self.drains = drains
    }

    /// Runs until it is cancelled.
    func run() async {
        await withTaskGroup { group in
            for drain in drains { group.addTask { await drain.run() } }
        }
        for drain in drains { drain.site.quit() }
    }
}
