/// A time that etcd lets keys live for unless it is told again.
package struct EtcdLease: Sendable, Equatable {
    let identity: Int64
}

extension EtcdClient {
    /// - Parameter time: rounded up to seconds; etcd may choose a longer one.
    package func grantLease(_ time: Duration) async throws(EtcdError) -> EtcdLease {
        let (seconds, attoseconds) = time.components
        let answer: LeaseAnswer = try await transport.ask(
            "/v3/lease/grant", LeaseRequest(seconds: EtcdInteger(seconds + (attoseconds > 0 ? 1 : 0))))
        guard let identity = answer.identity?.value, identity != 0 else {
            throw .unavailable(["a lease without a number"])
        }
        return EtcdLease(identity: identity)
    }

    /// Begins the lease's time again. False if there is no such lease any more.
    package func keepAlive(_ lease: EtcdLease) async throws(EtcdError) -> Bool {
        let answer: LeaseAnswer = try await transport.ask(
            "/v3/lease/keepalive", LeaseRequest(identity: EtcdInteger(lease.identity)), streams: true)
        return (answer.seconds?.value ?? 0) > 0
    }

    /// Ends a lease, and removes its keys. One that is over already is no error.
    package func revoke(_ lease: EtcdLease) async throws(EtcdError) {
        do {
            let _: HeaderAnswer = try await transport.ask(
                "/v3/lease/revoke", LeaseRequest(identity: EtcdInteger(lease.identity)))
        } catch  where error.isUnknownLease {
            return
        }
    }
}
