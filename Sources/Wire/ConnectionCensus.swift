import NIOCore
import Synchronization

/// How many connections a listener takes, in all and from one address. Zero means no limit.
package struct ConnectionLimits: Sendable, Equatable {
    package var connectionsMax: Int
    package var perAddressMax: Int

    package init(connectionsMax: Int, perAddressMax: Int) {
        self.connectionsMax = connectionsMax
        self.perAddressMax = perAddressMax
    }
}

/// The open connections of one listener, by address.
final class ConnectionCensus: Sendable {
    private struct State {
        var limits: ConnectionLimits
        var open: [ObjectIdentifier: (channel: any Channel, address: String?)] = [:]
        var byAddress: [String: Int] = [:]
    }

    private let state: Mutex<State>

    init(limits: ConnectionLimits) {
        state = Mutex(State(limits: limits))
    }

    var count: Int { state.withLock { $0.open.count } }

    func setLimits(_ limits: ConnectionLimits) {
        state.withLock { $0.limits = limits }
    }

    /// Counts a connection in, or says why it may not come.
    func enter(_ channel: any Channel) -> ConnectionRefusal? {
        state.withLock { state in
            if state.limits.connectionsMax > 0, state.open.count >= state.limits.connectionsMax {
                return .tooManyConnections
            }
            state.open[ObjectIdentifier(channel)] = (channel, nil)
            return nil
        }
    }

    /// Counts it for its address, once that is known, or says why it may not stay.
    func identify(_ channel: any Channel, address: String) -> ConnectionRefusal? {
        state.withLock { state in
            let already = state.byAddress[address, default: 0]
            if state.limits.perAddressMax > 0, already >= state.limits.perAddressMax { return .tooManyFromAddress }
            state.open[ObjectIdentifier(channel)]?.address = address
            state.byAddress[address] = already + 1
            return nil
        }
    }

    func leave(_ channel: any Channel) {
        state.withLock { state in
            guard let address = state.open.removeValue(forKey: ObjectIdentifier(channel))?.address else { return }
            let left = state.byAddress[address, default: 1] - 1
            state.byAddress[address] = left > 0 ? left : nil
        }
    }

    func forEach(_ body: (any Channel) -> Void) {
        for (channel, _) in state.withLock({ Array($0.open.values) }) { body(channel) }
    }
}
