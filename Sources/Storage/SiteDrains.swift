import Maildirs
import Membership
import NIOCore
import Wire

/// This node's ways to all other sites.
struct SiteDrains {
    /// What is read before the node serves anybody.
    struct Settings: Sendable {
        fileprivate let hostname: String
        /// What this site shares with each other one, by the other's name.
        fileprivate let secrets: [String: String]
        fileprivate let tls: [String: ClientTLS]

        init(_ configuration: ClusterConfiguration, secrets: [String: String]) throws(TLSFileError) {
            hostname = configuration.hostname
            self.secrets = secrets
            var tls: [String: ClientTLS] = [:]
            for site in configuration.sites where site.tls != .none { tls[site.name] = try ClientTLS(site.trust) }
            self.tls = tls
        }
    }

    let drains: [SiteDrain]

    init(_ settings: Settings, replicator: Replicator, mender: CopyMender, group: any EventLoopGroup) async throws {
        var drains: [SiteDrain] = []
        for site in replicator.sites.peers {
            guard let secret = settings.secrets[site.name], let target = SpoolTarget(site: site.name) else {
                preconditionFailure("site \(site.name) has no secret")
            }
            let link = try await SiteLink.make(
                site, own: replicator.sites.own, hostname: settings.hostname, secret: secret,
                tls: settings.tls[site.name], on: group.next(), log: replicator.log)
            drains.append(SiteDrain(replicator: replicator, mender: mender, site: link, target: target))
        }
        self.drains = drains
    }

    /// Runs until it is cancelled.
    func run() async {
        await withTaskCancellationHandler {
            await withTaskGroup { group in
                for drain in drains {
                    group.addTask { await drain.run() }
                    group.addTask { await SpoolWatch(drain).run() }
                }
            }
        } onCancel: {
            // Another site may take its time to answer.
            for drain in drains { drain.site.abandon() }
        }
    }
}

extension ClientTLS {
    init(_ trust: ServerTrust) throws(TLSFileError) {
        if let pinned = trust.pinnedCertificate {
            try self.init(pinned: pinned)
        } else {
            try self.init(roots: trust.ca)
        }
    }
}
