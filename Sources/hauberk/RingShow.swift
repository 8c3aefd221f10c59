import ArgumentParser
import Cluster
import Foundation
import Mail
import Membership

/// `ring show`.
struct RingShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show how the mailboxes are spread over the storage nodes.",
        discussion: """
            'copies' is what a node has to keep, 'fair' what its weight asks for, 'preferred' for how many partitions it \
            is asked first.

              hauberk ring show --svg ring.svg
            """)

    @Option(help: "Also draw the ring into this file.", completion: .file(extensions: ["svg"]))
    var svg: String?

    @Flag(help: "Also show each node's addresses and store, and the memberships of all epochs.")
    var members = false

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        let map = ClusterMap(configuration)
        if let svg {
            let picture = RingPicture.svg(map.ring, title: configuration.cluster.name)
            do {
                try Data(picture.utf8).write(to: URL(fileURLWithPath: svg), options: .atomic)
            } catch {
                throw CommandFailure("cannot write the picture to \(svg): \(error.localizedDescription)")
            }
        }
        try output.show(
            RingView(map, epochs: configuration.cluster.epochs),
            RingTable.text(map.ring) + (members ? Self.members(map, configuration) : "")
                + (svg.map { "\nthe picture is in \($0)\n" } ?? ""))
    }

    private static func members(_ map: ClusterMap, _ configuration: ClusterConfiguration) -> String {
        var table = TextTable(["node", "lmtp", "pop3", "store"])
        for node in map.nodes { table.add([node.name, "\(node.lmtp)", "\(node.pop3)", node.data]) }
        let epochs = configuration.cluster.epochs.enumerated().reduce("\n") { text, line in
            "\(text)epoch \(line.offset + 1): \(line.element)\n"
        }
        return "\n" + table.text(empty: "no nodes") + (configuration.cluster.epochs.isEmpty ? "" : epochs)
    }
}

/// The ring in JSON.
private struct RingView: Encodable {
    struct Node: Encodable {
        let name: String
        let zone: String?
        let weight: Int
        let copies: Int
        let fairCopies: Double
        let preferredPartitions: Int
        let lmtp: String
        let pop3: String
        let store: String
    }

    let epoch: UInt64
    let partitions: Int
    let replicas: Int
    /// The greatest load, as a multiple of the fair share.
    let loadRatio: Double
    let nodes: [Node]
    let epochs: [String]

    init(_ map: ClusterMap, epochs: [String]) {
        let ring = map.ring
        let (loads, firsts, fair) = (ring.loads(), ring.firstOwnerLoads(), ring.fairShares())
        epoch = ring.epoch
        partitions = ring.partitions
        replicas = ring.replicas
        loadRatio = ring.loadRatio
        self.epochs = epochs
        nodes = map.nodes.enumerated().map { index, node in
            Node(
                name: node.name, zone: node.zone, weight: node.weight, copies: loads[index], fairCopies: fair[index],
                preferredPartitions: firsts[index], lmtp: node.lmtp.description, pop3: node.pop3.description,
                store: node.data)
        }
    }
}
