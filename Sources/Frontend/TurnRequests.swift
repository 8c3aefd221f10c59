import Directory
import Hops
import Mail
import Membership
import POP3
import SASL
import SMTP
import Synchronization

/// What a frontend says to clients that ask for mail which waits for them: ETRN (RFC 1985) has it sent, ATRN (RFC 2645) has it
/// on the connection of who asks; and some have it sent by their visit alone.
final class TurnRequests: Sendable {
    private let routes: RelayRoutes
    let offersETRN: Bool
    let offersATRN: Bool
    private let clock = ContinuousClock()
    /// When a client's visit last had a relay's mail sent.
    private let visits = Mutex<[String: ContinuousClock.Instant]>([:])

    /// Visits that follow one another sooner ask for nothing new.
    private static let visitInterval = Duration.seconds(10)

    init(_ routes: RelayRoutes) {
        self.routes = routes
        offersETRN = routes.relays.contains { !$0.addresses.isEmpty && !($0.users.isEmpty && $0.turnFrom.isEmpty) }
        offersATRN = routes.relays.contains { $0.addresses.isEmpty && !$0.users.isEmpty }
    }

    // MARK: ETRN

    /// - Parameter address: the client's, as text; empty for a Unix socket.
    func startQueue(
        _ request: ETRNRequest, _ address: String, asking frontend: FrontendContext
    ) async -> ETRNAnswer {
        let meant = relays(for: request.target)
        let allowed = meant.filter { relay in
            relay.turnFrom.contains { $0.contains(address) } || request.user.map { $0.may(turn: relay) } ?? false
        }
        guard !allowed.isEmpty else { return .notAllowed(meant.isEmpty ? "nothing is kept for it here" : "not to you") }
        let sent = allowed.filter { !$0.addresses.isEmpty }
        guard !sent.isEmpty else { return .unable("its mail is fetched (ATRN), and not sent") }
        var waiting = 0
        for relay in sent {
            let answers = await frontend.askNodes(.xflush(relay: relay.name)).compactMap { $0 }
            guard !answers.isEmpty else { return .unable("no storage node answers") }
            waiting += answers.compactMap { $0.split(separator: " ").first.flatMap { Int($0) } }.reduce(0, +)
        }
        return waiting == 0 ? .nothingWaiting : .pending(waiting)
    }

    private func relays(for target: ETRNRequest.Target) -> [RelaySettings] {
        switch target {
        case .queue(let name): routes[name].map { [$0] } ?? []
        case .node(let domain): routes.relay(for: domain, isTrusted: false).map { [$0] } ?? []
        case .domain(let domain): routes.relays(at: domain)
        }
    }

    // MARK: visits

    /// A client has gone: what waits for its relays is sent to them.
    func visited(by address: String, asking frontend: FrontendContext) {
        guard offersETRN else { return }
        let now = clock.now
        for relay in routes.relays
        where !relay.addresses.isEmpty && relay.turnFrom.contains(where: { $0.contains(address) }) {
            let isNew = visits.withLock { visits in
                if let last = visits[relay.name], now - last < Self.visitInterval { return false }
                visits[relay.name] = now
                return true
            }
            if isNew { Task { _ = await frontend.askNodes(.xflush(relay: relay.name)) } }
        }
    }

    // MARK: ATRN

    func askTurn(_ request: ATRNRequest, asking frontend: FrontendContext) async -> ATRNAnswer {
        let relays = relays(of: request)
        let foreign = request.domains.first { domain in
            !relays.contains { routes.relay(for: domain, isTrusted: false) == $0 }
        }
        if let foreign { return .refused("\(foreign) is not yours") }
        guard !relays.isEmpty else { return .refused("nothing is kept for you here") }
        var waiting = 0
        for relay in relays {
            let answers = await frontend.askNodes(.xstatus(ofSite: SiteStatus.relayMark + relay.name)).compactMap { $0 }
            guard !answers.isEmpty else { return .unable("no storage node answers") }
            waiting += answers.compactMap { SiteStatus($0)?.messages }.reduce(0, +)
        }
        return waiting == 0 ? .noMail : .granted
    }

    /// The relays whose mail the client may fetch, of the domains that it names.
    func relays(of request: ATRNRequest) -> [RelaySettings] {
        routes.relays.filter { relay in
            relay.addresses.isEmpty && request.user.may(turn: relay)
                && (request.domains.isEmpty
                    || request.domains.contains { routes.relay(for: $0, isTrusted: false) == relay })
        }
    }
}

extension AuthenticatedUser {
    fileprivate func may(turn relay: RelaySettings) -> Bool { site == nil && relay.users.contains(address) }
}
