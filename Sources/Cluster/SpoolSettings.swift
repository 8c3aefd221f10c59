/// How a spool is worked off.
package struct SpoolSettings: Equatable, Sendable {
    /// What makes a spool send.
    package enum Trigger: Hashable, Sendable {
        /// Whenever something waits.
        case atOnce
        /// Every so many seconds, then all that waits.
        case every(Int64)
        /// Only when told to.
        case onDemand
    }

    package var trigger: Trigger
    package var backoff: QuadraticBackoff
    /// Seconds after which a message that fails is given up; nil if it never is.
    package var lifetime: Int64?
    /// How long the link rests after it failed.
    package var reconnect: ReconnectBackoff
    /// Seconds until a spool is listed again although nobody told of a new message.
    package var listingInterval: Int64
    /// Names that are held of one listing.
    package var windowMax: Int
    /// Messages whose next try is remembered.
    package var deferredMax: Int

    package init(
        trigger: Trigger = .atOnce, backoff: QuadraticBackoff = .remote, lifetime: Int64? = 7 * 86_400,
        reconnect: ReconnectBackoff = ReconnectBackoff(first: .seconds(2), max: .seconds(300)),
        listingInterval: Int64 = 60, windowMax: Int = 10_000, deferredMax: Int = 50_000
    ) {
        self.trigger = trigger
        self.backoff = backoff
        self.lifetime = lifetime
        self.reconnect = reconnect
        self.listingInterval = max(1, listingInterval)
        self.windowMax = max(1, windowMax)
        self.deferredMax = max(1, deferredMax)
    }
}
