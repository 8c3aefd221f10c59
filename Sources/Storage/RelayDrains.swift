import Bounces
import Hops
import Logging
import Mail
import Membership
import NIOCore
import SMTP
import Wire

/// This node's ways to all relays' servers.
struct RelayDrains {
    /// What is read before the node serves anybody.
    struct Settings: Sendable {
        fileprivate let hostname: String
        fileprivate let relays: [RelaySettings]
        /// What this cluster logs in with, by the relay's name.
        fileprivate let passwords: [String: String]
        fileprivate let tls: [String: ClientTLS]
        fileprivate let plan: BouncePlan
        fileprivate let door: RelayLink.Settings?

        init(_ configuration: ClusterConfiguration, passwords: [String: String]) throws(TLSFileError) {
            hostname = configuration.hostname
            relays = configuration.relays
            self.passwords = passwords
            var tls: [String: ClientTLS] = [:]
            for relay in relays where relay.tls != .none { tls[relay.name] = try ClientTLS(of: relay) }
            self.tls = tls
            plan = BouncePlan(reportingHost: hostname, postmaster: configuration.bouncePostmaster)
            door = relays.isEmpty ? nil : try Self.door(configuration)
        }

        /// The cluster's own frontends know what is to become of a notice.
        private static func door(_ configuration: ClusterConfiguration) throws(TLSFileError) -> RelayLink.Settings {
            let smtp = SMTPClientSettings(
                mode: .smtp, clientName: configuration.hostname, startTLS: .ifOffered, transactionsInFlightMax: 16)
            return RelayLink.Settings(
                addresses: ServerAddresses(configuration.bounceAddresses, tls: nil, certificateName: nil),
                session: LinkSession(smtp, startTLS: try ClientTLS(unverified: ())), connectionsMax: 1,
                timeout: .seconds(300), peer: "server for notices", server: configuration.hostname)
        }

        fileprivate func link(to relay: RelaySettings) -> RelayLink.Settings {
            let password = passwords[relay.name]
            let credentials = relay.user.flatMap { user in
                password.map { SMTPClientSettings.Credentials(user: user, password: $0) }
            }
            let startTLS: SMTPClientSettings.StartTLS =
                switch relay.tls {
                case .opportunistic: .ifOffered
                case .starttls: .required
                case .implicit, .none: .never
                }
            let smtp = SMTPClientSettings(
                mode: relay.mailProtocol == .lmtp ? .lmtp : .smtp, clientName: hostname, startTLS: startTLS,
                credentials: credentials, transactionsInFlightMax: relay.inFlightMax)
            let implicit = relay.tls == .implicit ? tls[relay.name] : nil
            return RelayLink.Settings(
                addresses: ServerAddresses(
                    relay.addresses, tls: implicit, certificateName: relay.trust.certificateName),
                session: LinkSession(smtp, startTLS: tls[relay.name]), connectionsMax: relay.connectionsMax,
                timeout: relay.timeout, peer: "relay \(relay.name)",
                server: relay.trust.certificateName ?? relay.addresses.first?.host ?? relay.name)
        }
    }

    let drains: [RelayDrain]

    init(_ settings: Settings, node: StorageContext, group: any EventLoopGroup) async throws {
        guard let door = settings.door else {
            drains = []
            return
        }
        let log = node.log
        let bouncer = RelayBouncer(
            plan: settings.plan, door: try await RelayLink.make(door, on: group.next(), log: log), log: log)
        var drains: [RelayDrain] = []
        for relay in settings.relays {
            guard let inbox = node.relayInboxes[relay.name] else { preconditionFailure("no inbox for \(relay.name)") }
            let carrier = try await Self.carrier(to: relay, settings, group, log)
            drains.append(
                RelayDrain(
                    relay,
                    queues: RelayQueues(
                        relay: relay.name, replicator: node.replicator, mender: node.mender,
                        openMailboxes: node.openMailboxes),
                    carrier: carrier, bouncer: bouncer, inbox: inbox, metrics: node.metrics, log: log))
        }
        self.drains = drains
    }

    private static func carrier(
        to relay: RelaySettings, _ settings: Settings, _ group: any EventLoopGroup, _ log: Logger
    ) async throws -> (any RelayCarrier)? {
        guard !relay.addresses.isEmpty else { return nil }
        switch relay.mailProtocol {
        case .smtp, .lmtp: return try await RelayLink.make(settings.link(to: relay), on: group.next(), log: log)
        case .qmtp: return try await QMTPLink.make(relay, on: group.next(), log: log)
        }
    }

    /// Runs until it is cancelled.
    func run() async {
        await withTaskGroup { group in
            for drain in drains { group.addTask { await drain.run() } }
        }
    }
}

extension ClientTLS {
    fileprivate init(of relay: RelaySettings) throws(TLSFileError) {
        if relay.tls == .opportunistic, relay.trust.isOpen {
            try self.init(unverified: ())
        } else {
            try self.init(relay.trust)
        }
    }
}
