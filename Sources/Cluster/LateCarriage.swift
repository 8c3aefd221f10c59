/// When an owner of a mailbox carries to another site what the first owner should have carried: late enough not to do the
/// same work twice while the first one catches up, and at last in any case.
///
/// All times are in seconds of one clock.
package struct LateCarriage: Sendable, Equatable {
    /// How long the first owner has for what is new, in seconds.
    package static let delay: Int64 = 60
    /// The most that it has to catch up, however old what waits is.
    package static let catchingUpMax: Int64 = 3600

    /// When the first owner's words began to come again, and when the last one came.
    private var resumed: Int64?
    private var last: Int64?

    package init() {}

    /// The first owner says that it has carried something.
    package mutating func heard(at now: Int64) {
        if last.map({ now - $0 > Self.delay }) ?? true { resumed = now }
        last = now
    }

    /// Whether something of this birth is late: the first owner does not carry anything, or has had as long for it as it
    /// had waited when the site was away.
    package func isLate(birth: Int64, now: Int64) -> Bool {
        let age = now - birth
        guard age > Self.delay else { return false }
        guard let resumed, let last, now - last <= Self.delay else { return true }
        return now - resumed >= min(max(0, resumed - birth), Self.catchingUpMax)
    }
}
