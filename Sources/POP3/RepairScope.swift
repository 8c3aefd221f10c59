package import Mail

/// What a node is asked to compare with its other owners.
package enum RepairScope: Hashable, Sendable {
    case partition(Int)
    case mailbox(MailboxName)
}
