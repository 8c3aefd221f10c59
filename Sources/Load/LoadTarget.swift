package import Mail
package import Wire

/// Which server a run speaks to, and how.
package struct LoadTarget: Sendable {
    package var endpoint: Endpoint
    /// TLS from the first byte; servers' certificates are not verified, unless the cluster's CA is given.
    package var tls: ClientTLS?
    /// What STARTTLS begins, where the session asks for it.
    package var startTLS: ClientTLS?
    /// The name that the server's certificate must bear, where certificates are verified.
    package var certificateName: String?
    /// How long connecting, and any answer, may take.
    package var timeout: Duration

    package init(endpoint: Endpoint, tls: ClientTLS? = nil, timeout: Duration = .seconds(60)) {
        self.endpoint = endpoint
        self.tls = tls
        self.timeout = timeout
    }

    var dialTarget: DialTarget {
        DialTarget(endpoint: endpoint, tls: tls, certificateName: certificateName, timeout: timeout)
    }
}

/// How much of it: the same for mail and for sessions.
package struct LoadAmount: Sendable {
    /// Connections at once.
    package var connections: Int
    /// Messages or sessions in all; nil for no bound but the duration.
    package var count: Int?
    package var duration: Duration?
    /// Messages or sessions a second; nil for as many as the server takes.
    package var rate: Double?
    package var threads: Int

    package init(connections: Int, count: Int?, duration: Duration? = nil, rate: Double? = nil, threads: Int = 1) {
        self.connections = connections
        self.count = count
        self.duration = duration
        self.rate = rate
        self.threads = threads
    }
}
