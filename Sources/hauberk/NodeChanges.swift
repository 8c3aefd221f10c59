import ArgumentParser
import Cluster
import Hops
import Mail
import Membership
import NIOPosix
import POP3

extension NodeCommand {
    /// `node add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new storage node a member of the ring.",
            discussion: """
                Writes the node and a new epoch into the configuration file, or into etcd. 'hauberk ring plan --add' says before what \
                that moves. Then give every machine the file, start the node, and send SIGHUP to all storage nodes, then \
                to all frontends: the node takes its share of deliveries at once, and what was there is brought to it. \
                'hauberk status' shows how far that is.

                  hauberk node add store-4 --lmtp 10.0.0.4:2401 --pop3 10.0.0.4:1101 --zone east
                """)

        @Argument(help: "The new node's name.")
        var node: String

        @Option(help: "Where it takes messages.", transform: Endpoint.argument)
        var lmtp: Endpoint

        @Option(help: "Where it takes sessions.", transform: Endpoint.argument)
        var pop3: Endpoint

        @Option(help: "The root of its store (default: as nodes[].data).")
        var data: String?

        @Option(help: "Its share of the mail, compared with the other nodes.")
        var weight = 1

        @Option(help: "What fails together with it.")
        var zone: String?

        @Option(help: "Where it serves its metrics.", transform: Endpoint.argument)
        var telemetry: Endpoint?

        @Flag(help: "Its hops are plain although trust.mode is mutual-tls; loopback and Unix sockets only.")
        var trusted = false

        @OptionGroup var output: OutputOption
        @OptionGroup var file: ConfigurationOption

        func run() async throws {
            let file = try await ClusterFile(file)
            guard file.configuration.node(named: node) == nil else {
                throw CommandFailure("\(node) is a member already: 'hauberk node set-weight' changes its share")
            }
            var settings = NodeSettings()
            settings.name = node
            settings.zone = zone
            settings.weight = weight
            settings.lmtp = lmtp
            settings.pop3 = pop3
            if let data { settings.data = data }
            settings.trusted = trusted
            settings.telemetry.address = telemetry
            try await NodeChange(file, nodes: file.configuration.nodes + [settings])
                .carryOut(output, "\(node) is a member. Start it: hauberk serve --node \(node)\n")
        }
    }

    /// `node set-weight`.
    struct SetWeight: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "set-weight", abstract: "Change a storage node's share of the mail.",
            discussion: """
                  hauberk node set-weight store-2 3
                """)

        @Argument(help: "The storage node.")
        var node: String

        @Argument(help: "Its share of the mail, compared with the other nodes; 0 to empty it.")
        var weight: Int

        @OptionGroup var output: OutputOption
        @OptionGroup var file: ConfigurationOption

        func run() async throws {
            try await NodeChange(ClusterFile(file), node, weight: weight).carryOut(
                output, "\(node) has weight \(weight).\n")
        }
    }

    /// `node drain`.
    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Have a storage node give all its mail to the others.",
            discussion: """
                The node stays a member and gives away what it has; 'hauberk status' shows how far that is. When nothing \
                is left there, 'hauberk node remove' takes it out.

                  hauberk node drain store-1
                """)

        @Argument(help: "The storage node.")
        var node: String

        @OptionGroup var output: OutputOption
        @OptionGroup var file: ConfigurationOption

        func run() async throws {
            try await NodeChange(ClusterFile(file), node, weight: 0).carryOut(output, "\(node) is to be emptied.\n")
        }
    }

    /// `node remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a storage node out of the ring: one that was drained, or one that is lost.",
            discussion: """
                A node that still has mail, or does not answer, is only removed with --lost: what it alone had is lost \
                with it. With cluster.replicas of at least 2 the other owners have the rest, and make new copies.

                  hauberk node remove store-1
                  hauberk node remove store-3 --lost
                """)

        @Argument(help: "The storage node.")
        var node: String

        @Flag(help: "The node will not come back, or what it has is not wanted.")
        var lost = false

        @OptionGroup var output: OutputOption
        @OptionGroup var file: ConfigurationOption

        func run() async throws {
            let file = try await ClusterFile(file)
            if !lost { try await checkEmpty(file.configuration) }
            let rest = file.configuration.nodes.filter { $0.name != node }
            guard rest.count < file.configuration.nodes.count else {
                throw CommandFailure("\(file.configuration.file) has no storage node \(node)")
            }
            try await NodeChange(file, nodes: rest).carryOut(output, "\(node) is no member any more. Stop it.\n")
        }

        private func checkEmpty(_ configuration: ClusterConfiguration) async throws {
            let map = ClusterMap(configuration)
            guard let index = map.ring.index(of: node) else { return }
            guard map.ring.member(index).weight == 0 else {
                throw CommandFailure(
                    "\(node) owns mail: 'hauberk node drain \(node)' has it brought to the others first; "
                        + "if the node is lost for good, say --lost")
            }
            let questions = try NodeQuestions(configuration)
            defer { Task { await questions.quit() } }
            guard let status = try? await questions.status(of: index) else {
                throw CommandFailure(
                    "\(node) does not answer, so that nobody knows what it still has; if it is lost for good, say --lost"
                )
            }
            guard status.isEmptied(in: map.ring) else {
                throw CommandFailure(
                    "\(node) still has mail of \(status.straysLeft) partitions, and "
                        + "\(status.mayMoreWait ? "at least " : "")\(status.mailboxesWaiting) mailboxes wait "
                        + "there for other nodes: 'hauberk status' shows how far it is")
            }
            for site in configuration.sites where !site.addresses.isEmpty {
                try await checkNothingWaits(for: site.name, at: index, questions)
            }
        }

        private func checkNothingWaits(
            for site: String, at index: Ring.NodeIndex, _ questions: NodeQuestions
        ) async throws {
            let text: String
            do throws(PeerError) {
                text = try await questions.ask(.xstatus(ofSite: site), at: index)
            } catch {
                // It brings nothing there.
                if case .refused = error { return }
                throw CommandFailure(
                    "\(node) does not tell what waits on it for \(site): \(error); if that may be lost, say --lost")
            }
            guard let status = SiteStatus(text), status.messages + status.tombstones == 0, status.needsSync == nil
            else {
                throw CommandFailure(
                    "something waits on \(node) for \(site), or it knows that \(site) has to be compared: 'hauberk site "
                        + "status' shows what, and a node that is removed takes it along; if it may be lost, say --lost"
                )
            }
        }
    }
}

extension NodeStatus {
    /// Whether a node that goes by this ring has nothing that belongs to others.
    func isEmptied(in ring: Ring) -> Bool {
        self.ring == ring.fingerprint && !isLooking && straysLeft == 0 && mailboxesWaiting == 0
    }
}

/// One change of the ring's members, which makes an epoch.
private struct NodeChange {
    private let file: ClusterFile
    private let nodes: [NodeSettings]

    init(_ file: ClusterFile, nodes: [NodeSettings]) {
        self.file = file
        self.nodes = nodes
    }

    init(_ file: ClusterFile, _ node: String, weight: Int) throws {
        var nodes = file.configuration.nodes
        guard let index = nodes.firstIndex(where: { $0.name == node }) else {
            let known = nodes.map(\.name).joined(separator: ", ")
            throw CommandFailure("\(file.configuration.file) has no storage node \(node); it has: \(known)")
        }
        guard nodes[index].weight != weight else { throw CommandFailure("\(node) has weight \(weight) already") }
        nodes[index].weight = weight
        self.init(file, nodes: nodes)
    }

    private struct View: Encodable {
        let epoch: UInt64
        let line: String
        let moved: Int
        let unavoidable: Int
    }

    func carryOut(_ output: OutputOption, _ done: String) async throws {
        let old = file.configuration
        let members = nodes.map { RingMember(name: $0.name, weight: $0.weight, zone: $0.zone) }
        guard Ring.isPossible(members, replicas: old.cluster.replicas) else {
            throw CommandFailure(
                "too few nodes with a weight would be left: cluster.replicas is \(old.cluster.replicas)")
        }
        var new = old
        new.nodes = nodes
        new.cluster.epochs = old.cluster.epochsAfter(old.ringMembers, becomes: members)
        let line = new.cluster.epochs.last ?? ""
        try await file.change(to: new, byHand: "Change nodes by hand, and add to cluster.epochs: \(line)") {
            try $0.change(from: old.nodes, to: nodes, epochs: new.cluster.epochs)
        }
        let plan = RingPlan(from: old.ring(), to: new.ring())
        try output.show(
            View(
                epoch: plan.epochAfter, line: line, moved: plan.moves.count, unavoidable: plan.unavoidable),
            done + """
                Epoch \(plan.epochAfter): \(plan.moves.count) of \(plan.copies) copies of partitions move.

                """ + file.afterwards)
    }
}

extension ClusterSettings {
    /// The ring's history with one epoch more.
    func epochsAfter(_ before: [RingMember], becomes after: [RingMember]) -> [String] {
        let founders = RingHistory(founders: before)
        let lines = epochs.isEmpty ? founders.lines : epochs
        return lines + (founders.lineToReach(after).map { [$0] } ?? [])
    }
}

extension Endpoint {
    /// An address on the command line.
    @Sendable
    static func argument(_ text: String) throws -> Endpoint {
        guard let endpoint = Endpoint(text) else {
            throw ValidationError("'\(text)' is no address: expected host:port, [IPv6]:port or unix:/path")
        }
        return endpoint
    }
}
