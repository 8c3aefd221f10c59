import Cluster
import Mail

/// One site: a cluster of its own, with its clients, and with links to other sites.
final class Site {
    let number: Int
    let name: String
    unowned let world: World
    /// The rings of all epochs, the founding one first.
    private var epochs: [Ring]
    /// Which of them is settled.
    private var settled = 0
    private(set) var nodes: [StorageNode] = []
    private(set) var frontends: [Frontend] = []
    private(set) var clients: [MailClient] = []
    /// The numbers of the sites that it replicates to.
    let peers: [Int]

    init(_ number: Int, ring: Ring, world: World) {
        self.number = number
        self.world = world
        name = "site\(number)"
        epochs = [ring]
        peers = world.scenario.topology.peers(of: number)
    }

    /// - Parameter nextPlace: gives each process its place in the network.
    func populate(_ nextPlace: () -> Int) {
        let scenario = world.scenario
        let prefix = scenario.topology == .alone ? "" : "\(name)-"
        for index in 0..<scenario.nodes {
            nodes.append(
                StorageNode(index: index, name: prefix + World.name(index), place: nextPlace(), site: self))
        }
        for number in 0..<scenario.frontends {
            frontends.append(Frontend("\(prefix)frontend\(number)", place: nextPlace(), site: self))
        }
        for number in 0..<scenario.clients {
            clients.append(MailClient("\(prefix)client\(number)", place: nextPlace(), site: self))
        }
    }

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
    func owners(of mailbox: Int) -> [Int] { ring.owners(ofPartition: world.partitions[mailbox]).map(Int.init) }

    /// The sites that are to have what comes here and has been at those of `path`; none if it is nothing new here.
    func targets(at path: SitePath?) -> [Int] {
        guard let path else { return [] }
        return peers.filter { !path.contains(world.sites[$0].name) }
    }
}
