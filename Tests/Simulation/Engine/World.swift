import Cluster
import Mail

/// A cluster in simulated time, with its clients and its misfortunes, all from one seed.
final class World {
    let scenario: Scenario
    let bug: PlantedBug?
    let trace: Trace
    /// The rings of all epochs, the founding one first.
    private var epochs: [Ring]
    /// Which of them is settled.
    private var settled = 0
    /// The partition of each mailbox.
    let partitions: [Int]
    var random: Randomness
    var queue = EventQueue()
    var tally = Tally()
    var ledger: Ledger
    private(set) var nodes: [StorageNode] = []
    private(set) var frontends: [Frontend] = []
    private(set) var clients: [MailClient] = []
    private var texts = 0
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
        epochs = [ring]
        self.partitions = (0..<scenario.mailboxes).map { number in
            guard let mailbox = MailboxName(local: "user\(number)", domain: "example.test") else {
                preconditionFailure("no mailbox name")
            }
            return ring.partition(of: mailbox)
        }
        ledger = Ledger(mailboxes: scenario.mailboxes)
        tally.seeds = 1
        var place = 0
        func nextPlace() -> Int {
            defer { place += 1 }
            return place
        }
        for index in 0..<scenario.nodes {
            nodes.append(StorageNode(index: index, name: Self.name(index), place: nextPlace(), world: self))
        }
        for number in 0..<scenario.frontends {
            frontends.append(Frontend("frontend\(number)", place: nextPlace(), world: self))
        }
        for number in 0..<scenario.clients {
            clients.append(MailClient("client\(number)", place: nextPlace(), world: self))
        }
        for process in processes {
            process.clockError = self.random.between(-scenario.clockErrorMax, scenario.clockErrorMax)
        }
        for node in nodes { node.started() }
    }

    /// In the order of their numbers, so that a node's place in the ring is its number.
    private static func name(_ index: Int) -> String { "node\(10_000 + index)" }

    var now: SimulatedTime { queue.now }

    /// Of the last epoch.
    var ring: Ring { epochs[epochs.count - 1] }
    var isSettled: Bool { settled == epochs.count - 1 }
    /// What a process is told that reads the configuration now.
    var transition: Transition { Transition(Array(epochs[settled...])) }

    func add(epoch ring: Ring) { epochs.append(ring) }

    /// Everybody is told at once: a process that hears of it late asks more nodes than it must.
    func settle() {
        settled = epochs.count - 1
        for process in processes where process.isUp { process.learnEpoch() }
    }

    /// All that may die or be cut off.
    var processes: [SimulatedProcess] { nodes + frontends }

    /// The owners of a mailbox, the preferred one first.
    func owners(of mailbox: Int) -> [Int] { ring.owners(ofPartition: partitions[mailbox]).map(Int.init) }

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
