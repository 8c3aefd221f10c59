import NIOCore
import Synchronization

/// How many connections are taken, in all and from one client. Zero means no limit.
package struct ConnectionLimits: Sendable, Equatable {
    package var connectionsMax: Int
    package var perAddressMax: Int

    package init(connectionsMax: Int, perAddressMax: Int) {
        self.connectionsMax = connectionsMax
        self.perAddressMax = perAddressMax
    }
}

/// The open connections of all listeners that share its limits, by client. Connections over Unix sockets count only
/// together: they are no one's address.
package final class ConnectionCensus: Sendable {
    private struct State {
        var limits: ConnectionLimits
        var open: [ObjectIdentifier: ClientNetwork?] = [:]
        var byNetwork: [ClientNetwork: Int] = [:]
    }

    private let state: Mutex<State>

    package init(limits: ConnectionLimits) {
        state = Mutex(State(limits: limits))
    }

    package func setLimits(_ limits: ConnectionLimits) {
        state.withLock { $0.limits = limits }
    }

    /// Counts a connection in, or says why it may not come.
    func enter(_ connection: ObjectIdentifier) -> ConnectionRefusal? {
        state.withLock { state in
            if state.limits.connectionsMax > 0, state.open.count >= state.limits.connectionsMax {
                return .tooManyConnections
            }
            state.open[connection] = .some(nil)
            return nil
        }
    }

    /// Counts it for its client, once that is known, or says why it may not stay.
    func identify(_ connection: ObjectIdentifier, address: String) -> ConnectionRefusal? {
        guard let network = ClientNetwork(address) else { return nil }
        return state.withLock { state in
            let already = state.byNetwork[network, default: 0]
            if state.limits.perAddressMax > 0, already >= state.limits.perAddressMax { return .tooManyFromAddress }
            state.open[connection] = network
            state.byNetwork[network] = already + 1
            return nil
        }
    }

    func leave(_ connection: ObjectIdentifier) {
        state.withLock { state in
            guard let network = state.open.removeValue(forKey: connection) ?? nil else { return }
            let left = state.byNetwork[network, default: 1] - 1
            state.byNetwork[network] = left > 0 ? left : nil
        }
    }
}

/// The open connections of one listener.
final class OpenConnections: Sendable {
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    var count: Int { channels.withLock { $0.count } }

    func add(_ channel: any Channel) {
        channels.withLock { $0[ObjectIdentifier(channel)] = channel }
    }

    func remove(_ channel: any Channel) {
        _ = channels.withLock { $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    func forEach(_ body: (any Channel) -> Void) {
        for channel in channels.withLock({ Array($0.values) }) { body(channel) }
    }
}
