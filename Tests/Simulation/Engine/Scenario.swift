/// The size of a cluster, what its clients do, and how bad its world is: all of it from a seed.
struct Scenario {
    var nodes: Int
    var zones: Int
    /// How many of the nodes own nothing at first.
    var spares: Int
    /// How many times the ring's members change.
    var memberChanges: Int
    /// R and W.
    var replicas: Int
    var quorum: Int
    var frontends: Int
    var clients: Int
    var mailboxes: Int
    var messagesPerClient: Int
    var sessionsPerClient: Int
    /// The probability that a reader deletes a message that it sees.
    var deletion: Double
    /// How long clients work and faults come.
    var duration: SimulatedTime
    /// The mean time between two faults.
    var faultInterval: SimulatedTime
    /// The probability of a crash before each step, and after it.
    var crashChance: Double
    /// How many disks are lost with all that is on them, among the faults: fewer than W.
    var disksLost: Int
    /// How many more are lost when all is up again and what waited was handed over; fewer than W together.
    var disksLostLate: Int
    /// Whether the loops that hand over rest until everything has been read once after healing.
    var pausesDrains: Bool
    /// What is there beside this site. The sizes above are those of each site.
    var topology = Topology.alone
    /// Whether the last mailbox is a relay's queue, which nobody reads.
    var hasRelay = false
    /// No faults at all come.
    var isPeaceful = false
    /// How wrong clocks may be.
    var clockErrorMax: SimulatedTime
    /// After that time a node lags, or another one's question is not answered.
    var handoffAfter = SimulatedTime.seconds(1)
    /// After that time it does not answer any more.
    var timeout = SimulatedTime.seconds(10)

    init(_ random: inout Randomness) {
        replicas = 1 + random.below(3)
        nodes = replicas + 1 + random.below(4)
        spares = random.below(max(1, min(2, nodes - replicas)))
        memberChanges = random.pick([0, 0, 1, 2, 3])
        zones = random.below(4)
        quorum = 1 + random.below(replicas)
        frontends = 1 + random.below(3)
        clients = 1 + random.below(3)
        mailboxes = 2 + random.below(3)
        messagesPerClient = 3 + random.below(8)
        sessionsPerClient = 2 + random.below(8)
        deletion = random.pick([0.1, 0.4, 0.8])
        duration = .seconds(random.between(10, 60))
        faultInterval = .milliseconds(random.pick([500, 1_500, 4_000]))
        crashChance = random.pick([0, 0.001, 0.005])
        disksLost = random.below(quorum)
        disksLostLate = random.chance(0.7) ? quorum - 1 - disksLost : 0
        pausesDrains = disksLostLate == 0 && random.chance(0.7)
        clockErrorMax = random.pick([0, .seconds(5), .days(2)])
        if random.chance(0.4) { addSites(&random) }
    }

    /// Several sites, each of them smaller than one alone.
    private mutating func addSites(_ random: inout Randomness) {
        topology = random.pick(Topology.severalSites)
        // Sites of one replica each are what small installations have, and nothing inside a site mends what it lost.
        if random.chance(0.4) {
            (replicas, quorum, disksLost, disksLostLate) = (1, 1, 0, 0)
            sessionsPerClient *= 2
        }
        nodes = min(nodes, replicas + 1 + random.below(2))
        spares = min(spares, nodes - replicas)
        frontends = min(frontends, 2)
        clients = min(clients, 2)
        memberChanges = min(memberChanges, 1)
        // Only a comparison of sites finds what a disk that is lost had not passed on yet.
        if random.chance(0.5) { (disksLost, disksLostLate) = (0, 0) }
        if random.chance(0.1) { self = peaceful }
    }

    /// The same without any fault.
    var peaceful: Scenario {
        var scenario = self
        (scenario.faultInterval, scenario.crashChance, scenario.disksLost) = (.days(1), 0, 0)
        scenario.disksLostLate = 0
        scenario.isPeaceful = true
        return scenario
    }

    var relayQueue: Int? { hasRelay ? mailboxes - 1 : nil }

    var text: String {
        "\(hasRelay ? "a relay, " : "")\(topology == .alone ? "" : "\(topology.sites) sites (\(topology)) of ")\(nodes) nodes (\(spares) to come) in \(zones) zones, R=\(replicas) W=\(quorum), \(frontends) frontends, \(clients) clients, "
            + "\(mailboxes) mailboxes, a fault each \(faultInterval / 1_000) ms for \(duration / 1_000_000) s"
    }
}
