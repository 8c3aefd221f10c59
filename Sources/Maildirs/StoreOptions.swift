package import Cluster
import FileTimes

/// What an operator may tune of a store, and its bounds.
package struct StoreOptions: Sendable {
    /// Threads for deliveries: as many durable cycles are in flight at once.
    package var deliveryThreads = 16
    /// Threads for deletions and for what replicas tell each other, which may read whole mailboxes: never a delivery's.
    package var removalThreads = 8
    /// Threads for listing and reading, so that a reader never waits behind an fsync.
    package var readingThreads = 8
    /// Mailboxes whose `tmp/` and `new/` are kept open between deliveries: two descriptors each.
    package var openMailboxesMax = 256
    /// Memory for listings that are kept while they match their directories, and, a quarter of it, for maps of mailboxes that
    /// copies come for. 0 keeps none.
    package var listingCacheBytes = 64 << 20
    /// How much older than a listing the last change of its directories must be for the listing to be kept: ten
    /// milliseconds and a tick of the slowest kernel clock. File systems without a block device (NFS, Ceph) have two seconds
    /// of `remoteMargin` instead, because their clock is another host's.
    package var clockMargin: Duration = .milliseconds(20)
    /// How long a deletion is remembered at least; older tombstones are no part of the mailbox any more (see
    /// `MaildirStore.forget(onlyBefore:)`).
    package var tombstoneGrace: Duration = .seconds(7 * 86_400)
    /// Within what time a message with the same content is the same one, sent again.
    package var resendWindow = ResendWindow(.seconds(86_400))
    /// How long tombstones are kept and told to other replicas at least. A message with a deleted one's content may be younger than
    /// that by the window, and must find the tombstone for the whole grace time too.
    var tombstoneAge: Duration { tombstoneGrace + resendWindow.duration }

    /// How many messages and deletions may wait for a site; no bound for those that are not named. What comes beyond it is
    /// left out of the site's spool, and it is remembered that the site must be compared.
    package var spoolFilesMax: [SpoolTarget: Int] = [:]

    /// How long a remote file system must have shown the same before a listing is kept.
    var remoteMargin: Duration = .seconds(2)
    /// How long a map of a mailbox that changes all the time is believed: so often, at most, the directories are read for
    /// messages that it does not show.
    var mapLifetime: Duration = .seconds(1)
    /// Whether names are taken by renames without replacing, as long as the file system does not refuse them.
    var renames = true
    /// Failures that tests order; a store in service has none.
    var faults: FaultPlan?
    /// What tests say instead of the file system: whether it is remote, and what its clock and this host's show.
    var isRemote: Bool?
    var serverTime: (@Sendable () -> FileTime)?
    var localTime: (@Sendable () -> FileTime)?

    package init() {}
}

/// Failures that a test wants from the file system, asked for before each step.
struct FaultPlan: Sendable {
    enum Step: Sendable {
        case create, write, syncFile, link, syncDirectory
        /// Opening a directory to read it, opening, reading and removing a message.
        case list, open, read, unlink
    }

    enum Fault: Sendable {
        /// The step is not done and fails so.
        case fail(Int32)
        /// The step is done and fails so all the same, as when a network file system loses the answer.
        case failAfterDoing(Int32)
    }

    /// What becomes of a step on a file of this name; nil lets it happen.
    let decide: @Sendable (Step, String) -> Fault?

    /// Throws if the step is to fail.
    func check(_ step: Step, _ name: String) throws(MaildirError) {
        if case .fail(let number) = decide(step, name) {
            throw .failed(operation: "\(step)", path: name, errno: number)
        }
    }
}
