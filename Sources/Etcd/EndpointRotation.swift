import Synchronization

/// Which member is asked first: the one that answered last.
final class EndpointRotation: Sendable {
    private let endpoints: [String]
    private let place = Mutex(0)

    /// - Parameter endpoints: at least one.
    init(_ endpoints: [String]) {
        precondition(!endpoints.isEmpty, "etcd without endpoints")
        self.endpoints = endpoints
    }

    var count: Int { endpoints.count }

    var current: String { place.withLock { endpoints[$0] } }

    /// The next one is asked from now on, unless somebody else found that out already.
    func failed(_ endpoint: String) {
        place.withLock { place in
            if endpoints[place] == endpoint { place = (place + 1) % endpoints.count }
        }
    }
}
