import Synchronization
package import Wire

/// A process's certificate for its hops, which a reload may change; nil if all hops are plain.
package final class HopTLS: Sendable {
    private let tls: Mutex<ClientTLS?>

    package init(_ tls: ClientTLS?) { self.tls = Mutex(tls) }

    package var value: ClientTLS? {
        get { tls.withLock { $0 } }
        set { tls.withLock { $0 = newValue } }
    }
}
