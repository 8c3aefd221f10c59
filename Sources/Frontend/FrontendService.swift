import CoreMetrics
package import Directory
import Hops
package import Logging
import Mail
package import Membership
package import NIOCore
import QMTP
import SMTP
import ServiceLifecycle
import Synchronization
package import Wire

/// One frontend: SMTP, submission, LMTP, QMTP, QMQP and POP3 for clients. It keeps nothing.
package final class FrontendService: Service {
    private let context: FrontendContext
    private let frontend: FrontendSettings
    private let drainTimeout: Duration
    /// A message that was read whole has its outcome by then.
    private let answerTimeout: Duration
    private let group: any EventLoopGroup
    private let setup: Mutex<ListenerSetup>
    private let listeners = Mutex<[Listener]>([])
    /// Connections count for the whole frontend, whatever listener they came by.
    private let smtpCensus: ConnectionCensus
    private let pop3Census: ConnectionCensus

    /// - Parameters:
    ///   - siteSecrets: what this site shares with each other one, by the other's name.
    ///   - tls: what clients see; nil if the frontend has no certificate.
    ///   - hopTLS: for the hops to the storage nodes; nil if they are all trusted.
    package init(
        _ configuration: ClusterConfiguration, frontend: FrontendSettings, siteSecrets: [String: String],
        directory: any AccountDirectory, tls: ServerTLS?, hopTLS: ClientTLS?, group: any EventLoopGroup, log: Logger
    ) {
        context = FrontendContext(
            configuration, frontend: frontend, siteSecrets: siteSecrets, directory: directory, tls: tls, hopTLS: hopTLS,
            group: group, log: log)
        self.frontend = frontend
        self.group = group
        drainTimeout = configuration.storage.drainTimeout
        answerTimeout = configuration.delivery.timeout
        let setup = Self.setup(configuration, frontend: frontend, hasCertificate: tls != nil, turns: context.turns)
        smtpCensus = ConnectionCensus(limits: setup.limits(.smtp))
        pop3Census = ConnectionCensus(limits: setup.limits(.pop3))
        self.setup = Mutex(setup)
    }

    private static func setup(
        _ configuration: ClusterConfiguration, frontend: FrontendSettings, hasCertificate: Bool, turns: TurnRequests
    ) -> ListenerSetup {
        ListenerSetup(
            configuration: configuration, hostname: configuration.hostname(of: frontend),
            hasCertificate: hasCertificate, turns: turns)
    }

    package func run() async throws {
        for settings in frontend.listeners {
            let listener = try await listen(settings)
            listeners.withLock { $0.append(listener) }
            context.log.notice(
                "listening", metadata: ["service": "\(settings.service)", "address": "\(listener.endpoint)"])
        }
        context.log.notice("ready")
        try? await gracefulShutdown()
        context.log.notice("draining")
        await Listener.drain(listeners.withLock { $0 }, timeout: drainTimeout, answerTimeout: answerTimeout)
        await finishDeliveries()
        context.log.notice("stopped")
    }

    /// Copies beyond the quorum may still be under way when the last client has gone.
    private func finishDeliveries() async {
        await context.routes.quit(within: drainTimeout)
    }

    /// New limits, times, balancers, certificates and storage nodes, for what is to come.
    package func reload(
        _ configuration: ClusterConfiguration, frontend: FrontendSettings, tls: ServerTLS?, hopTLS: ClientTLS?
    ) {
        // Listeners change with a restart only: one that began with TLS never goes on without.
        let isImplicit = self.frontend.listeners.contains { $0.tlsMode == .implicit }
        let tls = tls ?? (isImplicit ? context.serverTLS : nil)
        context.serverTLS = tls
        context.setHopTLS(hopTLS)
        context.adopt(ClusterMap(configuration))
        let new = Self.setup(
            configuration, frontend: frontend, hasCertificate: tls != nil, turns: context.turns)
        setup.withLock { $0 = new }
        for (listener, settings) in zip(listeners.withLock { $0 }, frontend.listeners) {
            listener.update(
                limits: new.limits(settings.service), implicitTLS: settings.tlsMode == .implicit ? tls : nil,
                isBalancer: Self.isBalancer(settings), isClient: Self.isClient(settings))
        }
    }

    private static func isBalancer(_ settings: Membership.ListenerSettings) -> @Sendable (String) -> Bool {
        let proxies = settings.proxyFrom
        return { address in proxies.contains { $0.contains(address) } }
    }

    private static func isClient(_ settings: Membership.ListenerSettings) -> @Sendable (String) -> Bool {
        let clients = settings.clients
        return { address in clients.isEmpty || clients.contains { $0.contains(address) } }
    }

    private func listen(_ settings: Membership.ListenerSettings) async throws -> Listener {
        let options = ListenerOptions(
            endpoint: settings.address, implicitTLS: settings.tlsMode == .implicit ? context.serverTLS : nil,
            limits: setup.withLock { $0.limits(settings.service) },
            isBalancer: Self.isBalancer(settings), isClient: Self.isClient(settings))
        return try await Listener.bind(
            options, group: group, census: settings.service.isPOP3 ? pop3Census : smtpCensus,
            refusal: { [context] reason in
                context.metrics.refusedConnections.increment()
                return ListenerSetup.refusal(reason, settings.service)
            },
            makeConversation: { [self] connection in makeConversation(settings, connection) })
    }

    private func makeConversation(
        _ settings: Membership.ListenerSettings, _ connection: Connection
    ) -> any Conversation {
        let setup = setup.withLock { $0 }
        switch settings.service {
        case .pop3, .pop3s:
            return POP3Conversation(frontend: context, listener: setup.pop3(settings), connection: connection)
        case .qmtp:
            return QMTPConversation<QMTPServerSession>(
                frontend: context, listener: setup.qmtp(), connection: connection)
        case .qmqp:
            return QMTPConversation<QMQPServerSession>(
                frontend: context, listener: setup.qmtp(), connection: connection)
        case .smtp, .submission, .submissions, .lmtp:
            return SMTPConversation(frontend: context, listener: setup.smtp(settings), connection: connection)
        }
    }
}
