import ArgumentParser
import Maildirs
import Membership

/// `node`: what an operator does to one storage node.
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Add, drain and remove storage nodes, and look after them.",
        discussion: """
              hauberk node add store-4 --lmtp 10.0.0.4:2401 --pop3 10.0.0.4:1101
              hauberk node drain store-1
              hauberk node remove store-1
            """, subcommands: [Add.self, Drain.self, Remove.self, SetWeight.self, Rebuild.self])

    /// `node rebuild`.
    struct Rebuild: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put a storage node's mail aside, so that it starts empty and the other owners bring everything.",
            discussion: """
                For a node whose store was away for longer than storage.tombstoneGrace, or is damaged. Stop the node first, \
                and run this on its machine. Nothing is deleted: the old mail stays in a folder beside the new one. Every \
                mailbox of the node must have another owner (cluster.replicas of at least 2).

                  hauberk node rebuild store-2
                """)

        struct View: Encodable {
            let node: String
            let aside: String
        }

        @Argument(help: "The storage node.")
        var node: String

        @OptionGroup var output: OutputOption
        @OptionGroup var file: ConfigurationOption

        func run() async throws {
            let configuration = try file.load()
            guard let settings = configuration.node(named: node) else {
                let known = configuration.nodes.map(\.name).joined(separator: ", ")
                throw CommandFailure("\(configuration.file) has no storage node \(node); it has: \(known)")
            }
            guard configuration.cluster.replicas > 1 else {
                throw CommandFailure(
                    "cluster.replicas is 1: nobody else has \(node)'s mail, so there is nothing to rebuild it from")
            }
            let aside: String
            do throws(MaildirError) {
                aside = try MaildirStore.putAside(
                    root: settings.data, cluster: configuration.cluster.name, node: node,
                    partitions: configuration.cluster.partitions)
            } catch {
                throw CommandFailure("\(error)")
            }
            try output.show(
                View(node: node, aside: aside),
                "\(node)'s mail was put aside: \(aside)\nStart the node again: the other owners bring everything.\n")
        }
    }
}
