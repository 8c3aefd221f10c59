import Cluster
import Hops
package import Logging
import Mail
import Maildirs
package import Membership
package import NIOCore
import POP3
import SMTP
import ServiceLifecycle
import Synchronization
package import Wire

/// One storage node: LMTP and POP3 for the cluster's own hops, over one root of Maildirs.
package final class StorageService: Service {
    private let context: StorageContext
    private let hopTLS: HopTLS
    private let node: NodeSettings
    private let limits: ConnectionLimits
    /// POP3 sessions count, whether they share a connection or not.
    private let pop3Census: ConnectionCensus
    private let listeners = Mutex<[Listener]>([])
    private let drainTimeout: Duration
    private let tls: ServerTLS?
    private let group: any EventLoopGroup
    private let sites: SiteDrains.Settings
    private let relays: RelayDrains.Settings

    /// Opens the store.
    /// - Parameters:
    ///   - siteSecrets: what this site shares with each other one, by the other's name.
    ///   - relayPasswords: what this cluster logs in with, by the relay's name.
    ///   - tls: what frontends and other nodes see; nil if hops to this node are plain.
    ///   - hopTLS: what other nodes see when this one connects; nil if all hops are plain.
    /// - Throws: `MaildirError` if the root is not this node's, or its file system cannot keep mail; `TLSFileError` for a
    ///   certificate of another site.
    package init(
        _ configuration: ClusterConfiguration, node: NodeSettings, siteSecrets: [String: String],
        relayPasswords: [String: String], tls: ServerTLS?, hopTLS: ClientTLS?, group: any EventLoopGroup, log: Logger
    ) throws {
        let storage = configuration.storage
        var options = StoreOptions()
        options.deliveryThreads = storage.threads
        options.listingCacheBytes = storage.listingCacheBytesMax
        options.tombstoneGrace = storage.tombstoneGrace
        options.resendWindow = ResendWindow(configuration.delivery.resendWindow)
        options.spoolFilesMax = Sites(configuration).spoolFilesMax
        let store = try MaildirStore(
            root: node.data, cluster: configuration.cluster.name, node: node.name,
            partitions: configuration.cluster.partitions, options: options)
        try Self.checkAbsence(of: store, node, configuration)
        // Until the other nodes have told what they may have missed.
        store.forget(onlyBefore: .min)
        self.hopTLS = HopTLS(hopTLS)
        let peers = ReplicaPeers.Settings(
            delivery: configuration.delivery, name: node.name, hopTLS: self.hopTLS, group: group, log: log)
        context = StorageContext(configuration, node: node, store: store, peers: peers, log: log)
        self.node = node
        self.tls = tls
        self.group = group
        sites = try SiteDrains.Settings(configuration, secrets: siteSecrets)
        relays = try RelayDrains.Settings(configuration, passwords: relayPasswords)
        limits = Self.limits(configuration)
        pop3Census = ConnectionCensus(limits: limits)
        drainTimeout = storage.drainTimeout
    }

    /// A store that was away for longer than deletions are remembered could bring deleted messages back to the others.
    private static func checkAbsence(
        of store: MaildirStore, _ node: NodeSettings, _ configuration: ClusterConfiguration
    ) throws {
        let grace = configuration.storage.tombstoneGrace
        guard configuration.cluster.replicas > 1, let absence = try store.timeOutOfService(), absence > grace else {
            return
        }
        throw StaleStoreError(node: node.name, root: node.data, absence: absence, grace: grace)
    }

    package func run() async throws {
        let lmtp = try await listen(node.lmtp, refusal: { _ in "421 4.3.2 too many connections\r\n" }) { [context] in
            LMTPNodeConversation(node: context, connection: $0)
        }
        let pop3 = try await listen(node.pop3, census: pop3Census, refusal: POP3NodeConversation.refusal) {
            [context, pop3Census] in
            POP3NodeConversation(node: context, connection: $0, census: pop3Census)
        }
        listeners.withLock { $0 = [lmtp, pop3] }
        context.log.notice("ready", metadata: ["lmtp": "\(lmtp.endpoint)", "pop3": "\(pop3.endpoint)"])
        let housekeeping = Task { [context] in await Housekeeping(context: context).run() }
        let heartbeat = Task { [context] in await Self.beat(context) }
        let emptied = Task { [context] in await Housekeeping(context: context).removeEmptied() }
        let repair = Task { [context] in await context.repair.run() }
        let mover = Task { [context] in await context.mover.run() }
        let drains = try await SiteDrains(
            sites, replicator: context.replicator, mender: context.mender, group: group)
        context.siteDrains.withLock { $0 = drains.drains }
        let sites = Task { await drains.run() }
        let relayDrains = try await RelayDrains(relays, node: context, group: group)
        context.relayDrains.withLock { $0 = relayDrains.drains }
        let relays = Task { await relayDrains.run() }
        let handoff = Task { [context] in
            await HandoffDrain(replicator: context.replicator, mender: context.mender).run()
        }
        let scrub = Task { [context] in
            let settings = context.housekeeping
            await Scrub(
                replicator: context.replicator, mender: context.mender, rate: settings.scrubRate,
                interval: settings.scrubInterval
            ).run()
        }
        try? await gracefulShutdown()
        housekeeping.cancel()
        emptied.cancel()
        heartbeat.cancel()
        repair.cancel()
        mover.cancel()
        scrub.cancel()
        handoff.cancel()
        sites.cancel()
        relays.cancel()
        context.log.notice("draining")
        await Listener.drain([lmtp, pop3], timeout: drainTimeout)
        await repair.value
        await mover.value
        await scrub.value
        await handoff.value
        await sites.value
        await relays.value
        await context.replicator.quit()
        context.store.shutdown()
        context.log.notice("stopped")
    }

    private static func beat(_ context: StorageContext) async {
        while !Task.isCancelled {
            do throws(MaildirError) {
                try await context.store.sayInService()
            } catch {
                context.log.error("heartbeat", metadata: ["reason": "\(error)"])
            }
            try? await Task.sleep(for: .seconds(60))
        }
    }

    /// New limits and certificates, for connections to come.
    package func reload(_ configuration: ClusterConfiguration, tls: ServerTLS?, hopTLS: ClientTLS?) {
        self.hopTLS.value = hopTLS
        context.reload(configuration)
        let limits = Self.limits(configuration)
        for listener in listeners.withLock({ $0 }) { listener.update(limits: limits, implicitTLS: tls) }
    }

    private static func limits(_ configuration: ClusterConfiguration) -> ConnectionLimits {
        ConnectionLimits(connectionsMax: configuration.storage.connectionsMax, perAddressMax: 0)
    }

    private func listen(
        _ endpoint: Endpoint, census: ConnectionCensus? = nil,
        refusal: @escaping @Sendable (ConnectionRefusal) -> String,
        makeConversation: @escaping Listener.MakeConversation
    ) async throws -> Listener {
        let options = ListenerOptions(endpoint: endpoint, implicitTLS: tls, limits: limits)
        return try await Listener.bind(
            options, group: group, census: census, refusal: refusal, makeConversation: makeConversation)
    }
}

/// A node's store is so old that deleted messages in it could come back.
package struct StaleStoreError: Error, CustomStringConvertible {
    let node: String
    let root: String
    let absence: Duration
    let grace: Duration

    package var description: String {
        "\(root) was last in service \(absence) ago, longer than storage.tombstoneGrace (\(grace)): messages that were "
            + "deleted meanwhile would come back. Put its mail aside with 'hauberk node rebuild \(node)' and start "
            + "again: the other owners bring everything that is still there"
    }
}
