import Cluster
import Hops
import Logging
import Maildirs
import Membership

/// Tells how long deletions have to be remembered beyond their time: until no node of the cluster has, or may have missed,
/// anything that could bring their messages back. That is a node that is cut off, a copy that waits for one, or mail on its way to
/// other owners.
///
/// Each node tells what may be forgotten as far as it knows; the least of that, of all nodes, may be. So it is nearly the same
/// everywhere, and what one has forgotten another does not bring back for long.
struct Forgetting {
    let context: StorageContext

    /// Clocks differ, and names tell the time of the clock of who made them; in seconds.
    private static let slack: Int64 = 3600
    /// Nodes find out at different times; most of the time they agree all the same, in seconds.
    private static let step: Int64 = 86_400

    /// What was deleted before it may be forgotten as far as this node alone knows, in seconds since 1970. Nil if nothing may: it has
    /// mail of others, has not compared all of its own with its other owners, or its clock was set.
    ///
    /// - Parameters:
    ///   - status: how it stands with moves.
    ///   - oldestHeld: when the oldest was made of what waits here for other nodes; nil if nothing does.
    func limit(_ status: NodeStatus, oldestHeld: Int64?) -> Int64? {
        guard status.straysLeft == 0, !status.isLooking, let old = try? context.store.forgettingLimit(),
            let compared = context.repair.comparedSince
        else { return nil }
        var limit = min(old, compared - Self.slack)
        if let oldestHeld {
            // A repeat of it may be younger than its deletion, by the window at most.
            let window = context.replicator.settings.resendWindow.components.seconds
            limit = min(limit, oldestHeld - window - Self.slack)
        }
        return limit > 0 ? limit : nil
    }

    /// What was deleted before it may be forgotten, in seconds since 1970; nil if a node does not know.
    func agreed() async -> Int64? {
        let peers = context.replicator.peers
        var agreed = Int64.max
        for node in peers.map.ring.members.indices.map(Ring.NodeIndex.init) {
            let status = node == peers.own ? await context.status() : try? await peers.status(of: node)
            guard let limit = status?.forgets else {
                context.log.info(
                    "deletions are remembered longer",
                    metadata: [
                        "node": "\(peers.map[node].name)",
                        "reason": status == nil ? "it does not answer" : "it may have missed some",
                    ])
                return nil
            }
            agreed = min(agreed, limit)
        }
        return agreed / Self.step * Self.step
    }
}
