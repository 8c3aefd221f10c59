/// The steps of a process between which it can die.
package enum Step: Int, CaseIterable, Sendable {
    // A storage node's, on its disk.
    case writeTemporary, syncFile, link, syncFolder, answer
    case writeTombstone, syncTombstone, linkTombstone, syncTombstones, unlink, tellDeletion
    case linkHeld, syncHeld
    case carryHeld, release
    case linkSpool, syncSpool, restore, carrySpooled, releaseSpooled
    case mergeTombstone, mergeMessage
    case giveUp
    case sendRelayed, tellSender, settleRelayed
    // A frontend's.
    case sendCopy, tellClient

    /// How much more probable a death is at a step that seldom comes.
    var danger: Double {
        switch self {
        case .mergeTombstone, .restore, .tellSender: 40
        case .linkSpool, .syncSpool: 16
        case .linkHeld, .syncHeld, .linkTombstone, .syncTombstones, .unlink, .tellDeletion, .giveUp, .settleRelayed:
            8
        case .carryHeld, .release, .mergeMessage, .tellClient, .carrySpooled, .releaseSpooled, .writeTombstone,
            .syncTombstone, .sendRelayed:
            4
        case .writeTemporary, .syncFile, .link, .syncFolder, .answer, .sendCopy: 1
        }
    }
}
