/// What happened in one run, or in many.
package struct Tally: Sendable, Equatable {
    package var seeds = 0
    /// Messages that clients sent (each attempt) and POP3 sessions that they began.
    package var operations = 0
    package var acknowledged = 0
    /// Attempts and sessions that did not come to the end that the client wanted.
    package var refused = 0
    /// Messages whose deletion got +OK.
    package var deleted = 0
    package var crashes = 0
    package var partitions = 0
    /// Copies and tombstones that stand-ins were given.
    package var handoffs = 0
    package var merges = 0
    package var failures = 0
    /// Other faults: hangs, lost disks, full disks, failing syncs, bursts of loss, clock jumps.
    package var faults = 0
    /// Second copies that clients made who sent again what they heard nothing of, and that are hidden.
    package var hidden = 0
    /// Those that show, because the names of clocks that are days apart say that they came long after the first.
    package var doubles = 0
    /// What a login right after healing did not show yet, because a far stand-in had not handed it over.
    package var late = 0
    /// Owners that were neither given a copy nor had one kept for them: only a merge tells them.
    package var forgotten = 0
    /// Datagrams that went over the network.
    package var datagrams = 0
    /// Seeds with more than one site.
    package var seedsWithSites = 0
    /// Messages and deletions that other sites said 250 for.
    package var carriages = 0
    /// Those of them that the same site had said 250 to the same site for.
    package var repeatedCarriages = 0
    /// Links between sites that were cut.
    package var linkCuts = 0
    /// Seeds in which something waited for a site until clocks had caught up with a name from the future.
    package var clockWaits = 0
    /// Seeds in which sites are different because disks were lost, until they are compared.
    package var unequalSites = 0
    /// Messages that a server elsewhere took from a relay.
    package var relayed = 0
    /// Those of them that it had taken before.
    package var relayedAgain = 0
    /// Senders who were told that a message could not be relayed.
    package var bounces = 0
    package var events = 0
    /// How often a process died just before and just after each step.
    package var crashesBefore = [Int](repeating: 0, count: Step.allCases.count)
    package var crashesAfter = [Int](repeating: 0, count: Step.allCases.count)

    package init() {}

    package static func += (left: inout Tally, right: Tally) {
        for path in counts { left[keyPath: path] += right[keyPath: path] }
        for step in Step.allCases.indices {
            left.crashesBefore[step] += right.crashesBefore[step]
            left.crashesAfter[step] += right.crashesAfter[step]
        }
    }

    private static var counts: [WritableKeyPath<Tally, Int>] {
        [
            \.seeds, \.operations, \.acknowledged, \.refused, \.deleted, \.crashes, \.partitions, \.handoffs, \.merges,
            \.failures,
            \.faults, \.hidden, \.doubles, \.late, \.forgotten, \.datagrams, \.events,
            \.seedsWithSites, \.carriages, \.repeatedCarriages, \.linkCuts, \.clockWaits, \.unequalSites,
            \.relayed, \.relayedAgain, \.bounces,
        ]
    }

    /// One line.
    package var summary: String {
        "\(seeds) seeds, \(operations) operations, \(acknowledged) acknowledged, \(deleted) deleted, \(crashes) crashes, "
            + "\(partitions) partitions, \(faults) other faults, \(handoffs) handoffs, \(merges) merges, "
            + "\(forgotten) owners forgotten, \(late) shown late, \(hidden) resent and hidden, \(doubles) doubles by clocks days apart, "
            + "\(seedsWithSites) seeds with 2 or 3 sites: \(carriages) carriages, \(repeatedCarriages) repeated, \(linkCuts) links cut, "
            + "\(clockWaits) waited for clocks, \(unequalSites) unequal after lost disks until compared, "
            + "\(relayed) relayed, \(relayedAgain) of them again, \(bounces) senders told; \(failures) failures"
    }
}
