/// A mistake that is made on purpose, so that the simulator shows that it would find it.
package enum PlantedBug: String, CaseIterable, Sendable {
    /// 250 is said before the directory is synced.
    case noDirectorySync = "no-directory-sync"
    /// A stand-in lets go of a tombstone that it never handed over.
    case tombstoneDroppedAtHandoff = "tombstone-dropped-at-handoff"
    /// A maildrop is opened as this replica has it.
    case readWithoutMerge = "read-without-merge"
    /// A stand-in says 250 before what it keeps is durable.
    case handoffAcknowledgedEarly = "handoff-acknowledged-early"
    /// A stand-in lets go of a copy before its owner's own 250.
    case handoffReleasedEarly = "handoff-released-early"
    /// +OK is said for a deletion that no other node was told of.
    case deletionNotTold = "deletion-not-told"
    /// A node gives up what it does not own any more before its owners have it.
    case moverGivesUpEarly = "mover-gives-up-early"
    /// What was sent again shows beside the first.
    case resentShown = "resent-shown"
    /// A deletion names what it deletes, but not its content.
    case deletionByName = "deletion-by-name"
    /// A message is linked into a site's spool after its mailbox, and that is not synced.
    case spooledLate = "spooled-late"
    /// What goes to another site does not say where it has been.
    case noSitePath = "no-site-path"
    /// A message leaves a site's spool before that site's 250.
    case siteReleasedEarly = "site-released-early"
    /// A client's deletion is not put into the sites' spools.
    case deletionNotSpooled = "deletion-not-spooled"
    /// A message goes to another site though this node's own mailbox may never have had it.
    case notRestored = "not-restored"
    /// The same of a deletion.
    case deletionNotRestored = "deletion-not-restored"
    /// What was seen in a site's spool is put into the mailbox, though it may not be durable there or in other sites' spools.
    case restoredTooSoon = "restored-too-soon"
    /// What the mailbox seems to have goes to another site before it is durable here.
    case carriedTooSoon = "carried-too-soon"
    /// Sites are compared without what was deleted.
    case comparedWithoutDeletions = "compared-without-deletions"
    /// What waits for a relay is sent as this replica has it.
    case relayedWithoutMerge = "relayed-without-merge"
    /// A message leaves a relay's queue before the server's 250.
    case relayGivesUpEarly = "relay-gives-up-early"
    /// A message that the server refuses leaves the queue, and nobody is told.
    case senderNotTold = "sender-not-told"
}
