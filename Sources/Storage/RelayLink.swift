import Cluster
import Hops
import Logging
import Mail
import NIOCore
import SMTP
import Wire

/// The way to a server by SMTP or LMTP: a few connections on which messages are pipelined as far as it offers that.
final class RelayLink: RelayCarrier {
    private let eventLoop: any EventLoop
    private let link: NIOLoopBound<NodeLink>
    private let health = NodeHealth()
    let server: String

    /// How to reach a server, and what it is told.
    struct Settings: Sendable {
        /// At least one.
        var addresses: ServerAddresses
        var session: LinkSession
        var connectionsMax: Int
        var timeout: Duration
        /// For the log: `relay smarthost`.
        var peer: String
        /// For notices: a host's name.
        var server: String
    }

    /// A connection that nobody uses is given back to the server.
    private static let idleTimeout = Duration.seconds(10)

    static func make(_ settings: Settings, on eventLoop: any EventLoop, log: Logger) async throws -> RelayLink {
        try await eventLoop.submit { RelayLink(settings, on: eventLoop, log: log) }.get()
    }

    private init(_ settings: Settings, on eventLoop: any EventLoop, log: Logger) {
        self.eventLoop = eventLoop
        server = settings.server
        let addresses = settings.addresses
        let link = NodeLink(
            target: { addresses.next() }, health: health,
            settings: NodeLinkSettings(
                timeout: settings.timeout, lagTimeout: settings.timeout, idleTimeout: Self.idleTimeout,
                connectionsMax: settings.connectionsMax,
                reconnect: ReconnectBackoff(first: .seconds(1), max: .seconds(60)), session: settings.session,
                peer: settings.peer),
            eventLoop: eventLoop, log: log)
        self.link = NIOLoopBound(link, eventLoop: eventLoop)
    }

    var isReachable: Bool { health.isReachable }
    var lastFailure: String? { health.lastFailure }

    func abandon() { eventLoop.execute { [link] in link.value.abandon() } }

    func carry(_ message: RelayMessage) async -> RelayOutcome {
        await withCheckedContinuation { carried in
            eventLoop.execute { [link] in
                var transaction: NodeTransaction?
                let (body, large): (ByteBuffer, LargeText?) =
                    switch message.text {
                    case .whole(let text): (text, nil)
                    case .large(let text): (ByteBuffer(), text)
                    }
                let fresh = NodeTransaction(
                    identity: nil, sender: message.sender, isUTF8: message.needsUTF8,
                    recipients: [SMTPRecipient(address: message.recipient)], body: body, large: large
                ) { verdicts in
                    let verdict = verdicts.first ?? .unanswered
                    let sends = transaction?.sends ?? 0
                    transaction = nil
                    carried.resume(
                        returning: verdict == .unanswered ? .lost(sends: sends) : .answered(verdict, sends: sends))
                }
                transaction = fresh
                link.value.submit(fresh)
            }
        }
    }
}
