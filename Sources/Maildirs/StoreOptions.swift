/// What an operator may tune of a store, and its bounds.
package struct StoreOptions: Sendable {
    /// Threads for deliveries and deletions: as many durable cycles are in flight at once.
    package var deliveryThreads = 16
    /// Threads for listing and reading, so that a reader never waits behind an fsync.
    package var readingThreads = 8
    /// Mailboxes whose `tmp/` and `new/` are kept open between deliveries: two descriptors each.
    package var openMailboxesMax = 256
    /// Memory for listings that are kept while they match their directories. 0 keeps none.
    package var listingCacheBytes = 64 << 20
    /// How much older than a listing the last change of its directories must be for the listing to be kept, at least: the
    /// granularity of the file system's clock. File systems without a block device (NFS, Ceph) get at least two seconds.
    package var clockMargin: Duration = .milliseconds(10)
    /// How long a deletion is remembered; older tombstones are no part of the mailbox any more.
    package var tombstoneGrace: Duration = .seconds(7 * 86_400)

    /// Failures that tests order; a store in service has none.
    var faults: FaultPlan?

    package init() {}
}

/// Failures that a test wants from the file system, asked for before each step of a durable cycle.
struct FaultPlan: Sendable {
    enum Step: Sendable { case create, write, syncFile, link, syncDirectory }

    enum Fault: Sendable {
        /// The step is not done and fails so.
        case fail(Int32)
        /// The step is done and fails so all the same, as when a network file system loses the answer.
        case failAfterDoing(Int32)
    }

    /// What becomes of a step on a file of this name; nil lets it happen.
    let decide: @Sendable (Step, String) -> Fault?
}
