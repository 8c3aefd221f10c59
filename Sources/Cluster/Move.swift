/// The move of one mailbox from a node that does not own it any more to all who do: in which order they are given what they
/// lack, and when it may be given up.
///
/// A mailbox is given up only after each owner was compared with it and lacked nothing. What was compared first, those after
/// it were compared with too, unless it is gone; so that is what may go, and what came meanwhile is the next move's.
package struct Move: Sendable {
    package enum Step: Sendable, Equatable {
        /// Give this owner the messages and tombstones that it lacks, and say what was carried.
        case give(to: Ring.NodeIndex)
        /// Remove what the first comparison that found nothing to carry showed, and nothing else.
        case giveUp
        /// Not now: everything stays.
        case stop
    }

    private var owners: ArraySlice<Ring.NodeIndex>
    private var rounds = 0

    /// Comparisons with one owner, while more comes in.
    private static let roundsMax = 4

    package init(owners: some Sequence<Ring.NodeIndex>) { self.owners = Array(owners)[...] }

    package var next: Step { owners.first.map(Step.give) ?? .giveUp }

    /// The next owner was compared, and has taken what it lacked.
    ///
    /// - Parameters:
    ///   - carried: how many messages and tombstones that was; 0 if it lacked nothing.
    ///   - isComplete: false if it did not take all, or did not answer.
    package mutating func compared(carried: Int, isComplete: Bool) -> Step {
        rounds += 1
        guard isComplete, carried == 0 || rounds < Self.roundsMax else { return .stop }
        if carried == 0 {
            owners = owners.dropFirst()
            rounds = 0
        }
        return next
    }

    /// Whether moves may begin: nothing is given up while a node goes by another ring, because it could be bringing it here.
    ///
    /// - Parameters:
    ///   - ring: the fingerprint of this node's.
    ///   - rings: what each other node that owns anything says; nil for one that does not answer.
    package static func mayBegin(ring: UInt64, others rings: some Sequence<UInt64?>) -> Bool {
        rings.allSatisfy { $0 == ring }
    }
}
