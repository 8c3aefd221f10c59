import Mail
import Synchronization
import Wire

/// The addresses of a server that has several, in turn: each connection goes to the next one.
final class ServerAddresses: Sendable {
    private let endpoints: [Endpoint]
    private let tls: ClientTLS?
    private let certificateName: String?
    private let timeout: Duration
    private let count = Atomic<Int>(0)

    /// - Parameters:
    ///   - endpoints: at least one.
    ///   - tls: for TLS before the first byte; nil for none.
    ///   - certificateName: nil for each address's host.
    ///   - timeout: until a connection stands.
    init(_ endpoints: [Endpoint], tls: ClientTLS?, certificateName: String?, timeout: Duration = .seconds(30)) {
        precondition(!endpoints.isEmpty, "a server without an address")
        self.endpoints = endpoints
        self.tls = tls
        self.certificateName = certificateName
        self.timeout = timeout
    }

    func next() -> DialTarget {
        let index = count.wrappingAdd(1, ordering: .relaxed).oldValue
        let endpoint = endpoints[index % endpoints.count]
        return DialTarget(endpoint: endpoint, tls: tls, certificateName: name(at: endpoint), timeout: timeout)
    }

    private func name(at endpoint: Endpoint) -> String? {
        if let certificateName { return certificateName }
        if case .tcp(let host, _) = endpoint { return host }
        return nil
    }
}
