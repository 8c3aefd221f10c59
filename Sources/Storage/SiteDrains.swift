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
            let tls = site.tls == .none ? nil : try ClientTLS(of: site)
            let link = try await SiteLink.make(
                site, own: replicator.sites.own, hostname: configuration.hostname, secret: secret, tls: tls,
                on: group.next(), log: replicator.log)
            drains.append(SiteDrain(replicator: replicator, site: link, target: target))
        }
        self.drains = drains
    }

    /// Runs until it is cancelled.
    func run() async {
        await withTaskCancellationHandler {
            await withTaskGroup { group in
                for drain in drains { group.addTask { await drain.run() } }
            }
        } onCancel: {
            // Another site may take its time to answer.
            for drain in drains { drain.site.abandon() }
        }
    }
}

extension ClientTLS {
    fileprivate init(of site: SiteSettings) throws(TLSFileError) {
        if let pinned = site.pinnedCertificate { try self.init(pinned: pinned) } else { try self.init(roots: site.ca) }
    }
}
