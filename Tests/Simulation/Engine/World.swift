import Cluster
import Mail

/// Clusters in simulated time, with their clients and their misfortunes, all from one seed.
final class World {
    let scenario: Scenario
    let bug: PlantedBug?
    let trace: Trace
    /// The partition of each mailbox.
    let partitions: [Int]
    var random: Randomness
    var queue = EventQueue()
    var tally = Tally()
    var ledger: Ledger
    /// What became of what the relay was to bring elsewhere.
    var relayed = RelayedMail()
    private(set) var server: RemoteServer?
    private(set) var sites: [Site] = []
    /// Messages that were removed from a full disk to make room for saying so, which may have failed: their reader was told
    /// -ERR, and a site with one replica does not get them back from another site.
    var removedForRoom: Set<String> = []
    private var texts = 0
    /// How often each name was carried for each mailbox over each link between sites.
    private var carriages: [String: Int] = [:]
    /// What was found wrong first.
    private(set) var complaint: String?
    /// Whether nothing more is to be done.
    var isOver = false
    /// Whether clients may begin something.
    var takesClients = true
    var pausesDrains = false
    /// The probability of a crash at each step, now.
    var crashChance: Double
    private(set) lazy var network = Network(self)

    /// 2026-01-01, in microseconds since 1970.
    static let epoch: SimulatedTime = 1_767_225_600_000_000
    static let tombstoneGrace = SimulatedTime.days(30)
    /// A message that comes again within this time, as its names tell it, is the same one.
    static let resendWindow = ResendWindow(.seconds(86_400))

    init(scenario: Scenario, random: Randomness, bug: PlantedBug? = nil, traces: Bool = false, partitions: Int = 16) {
        self.scenario = scenario
        self.random = random
        self.bug = bug
        trace = Trace(isOn: traces)
        crashChance = scenario.crashChance
        let members = (0..<scenario.nodes).map { index in
            RingMember(
                name: Self.name(index), weight: index < scenario.nodes - scenario.spares ? 1 : 0,
                zone: scenario.zones > 0 ? "zone\(index % scenario.zones)" : nil)
        }
        let ring = Ring(members: members, partitions: partitions, replicas: scenario.replicas)
        self.partitions = (0..<scenario.mailboxes).map { number in
            guard let mailbox = MailboxName(local: "user\(number)", domain: "example.test") else {
                preconditionFailure("no mailbox name")
            }
            return ring.partition(of: mailbox)
        }
        ledger = Ledger(mailboxes: scenario.mailboxes, sites: scenario.topology.sites)
        tally.seeds = 1
        var place = 0
        func nextPlace() -> Int {
            defer { place += 1 }
            return place
        }
        sites = (0..<scenario.topology.sites).map { Site($0, ring: ring, world: self) }
        for site in sites { site.populate(nextPlace) }
        if scenario.hasRelay { server = RemoteServer("elsewhere", place: nextPlace(), site: sites[0]) }
        if sites.count > 1 { tally.seedsWithSites = 1 }
        for process in processes {
            process.clockError = self.random.between(-scenario.clockErrorMax, scenario.clockErrorMax)
        }
        for node in nodes { node.started() }
    }

    /// In the order of their numbers, so that a node's place in the ring is its number.
    static func name(_ index: Int) -> String { "node\(10_000 + index)" }

    var now: SimulatedTime { queue.now }

    /// All that may die or be cut off.
    var processes: [SimulatedProcess] { sites.flatMap(\.processes) }
    var nodes: [StorageNode] { sites.flatMap(\.nodes) }

    /// A site has said 250 for what another one brought.
    func carried(_ name: String, of mailbox: Int, from: Site, to: Site) {
        tally.carriages += 1
        let link = "\(name) of \(mailbox) from \(from.name) to \(to.name)"
        carriages[link, default: 0] += 1
        if carriages[link, default: 0] > 1 { tally.repeatedCarriages += 1 }
        if let complaint = loopComplaint(name, to, carriages[link, default: 0]) { complain("\(link): \(complaint)") }
    }

    /// Without faults, with the same members all the time and with clocks that agree, what is carried goes once over a link at
    /// most, and no message goes back to where it came from. Where it comes on two ways, owners may have had it on different
    /// ones first, and each carries what it has in its spool. With faults it ends all the same.
    private func loopComplaint(_ name: String, _ to: Site, _ count: Int) -> String? {
        if count > Self.carriagesMax { return "carried without end" }
        guard scenario.isPeaceful, scenario.memberChanges == 0, scenario.clockErrorMax < .days(1) else { return nil }
        if count > (scenario.topology == .mesh ? scenario.replicas : 1) { return "carried too often" }
        return ledger.isMinted(name, at: to.name) ? "carried back to where it came from" : nil
    }

    func nextText() -> Int {
        texts += 1
        return texts
    }

    func after(_ delay: SimulatedTime, _ work: @escaping () -> Void) { queue.add(after: delay, work) }

    func note(_ text: @autoclosure () -> String) { trace.note(now, "world", text()) }

    /// A disk is gone for good; the node comes back with an empty one.
    func loseDisk(_ node: StorageNode) {
        tally.faults += 1
        if node.isUp { node.crash("disk lost", downFor: random.between(.seconds(1), .seconds(20))) }
        node.note("has an empty disk")
        node.disk.lose()
    }

    /// Something is wrong; the first that is ends the run.
    func complain(_ text: String) {
        note("FAILURE: \(text)")
        if complaint == nil { complaint = text }
        isOver = true
    }

    private static let carriagesMax = 100
    private static let eventsMax = 5_000_000

    /// Goes on until it is over, and takes it apart.
    func run() {
        runWhile { true }
        queue.removeAll()
        for node in nodes { node.merges = [:] }
        if complaint != nil { tally.failures = 1 }
        tally.events = queue.count
    }

    func runWhile(_ goesOn: () -> Bool) {
        while !isOver, goesOn(), let work = queue.next() {
            work()
            if queue.count > Self.eventsMax { complain("it does not end") }
        }
    }
}
