import ArgumentParser
import Cluster
import Membership

/// `ring plan`.
struct RingPlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say what a change of the storage nodes would move. Nothing is changed.",
        discussion: """
            Compares what moves with what no plan could spare, and gives the lines for cluster.epochs that make the \
            change a new epoch. 'hauberk node' makes it: new owners take deliveries at once and are brought what was \
            there, and nothing is refused meanwhile.

              hauberk ring plan --add store-4:2:east --remove store-1
              hauberk ring plan --set-weight store-2=3
            """)

    @OptionGroup var change: MembershipChange

    @Flag(help: "Also list each partition that moves.")
    var moves = false

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        let old = configuration.ring()
        let members = try change.applied(to: old.members, replicas: old.replicas)
        let new = old.changed(to: members)
        let epochs = configuration.cluster.epochsAfter(configuration.ringMembers, becomes: members)
        let view = PlanView(RingPlan(from: old, to: new), old, new, epochs: epochs, withMoves: moves)
        try output.show(view, view.text(RingPlan(from: old, to: new)))
    }
}

/// A plan in JSON, and as a text.
private struct PlanView: Encodable {
    struct Node: Encodable {
        let name: String
        let before: Int
        let after: Int
        let gains: Int
        let losses: Int
    }

    struct Move: Encodable {
        let partition: Int
        let from: [String]
        let to: String
    }

    /// Whether the members differ at all; if not, there is no new epoch.
    let changes: Bool
    let epochBefore: UInt64
    let epochAfter: UInt64
    let copies: Int
    let moved: Int
    let movedShare: Double
    let unavoidable: Int
    let unavoidableShare: Double
    /// The greatest load, as a multiple of the fair share.
    let loadRatioBefore: Double
    let loadRatioAfter: Double
    let nodes: [Node]
    let epochs: [String]
    let moves: [Move]?

    init(_ plan: RingPlan, _ old: Ring, _ new: Ring, epochs: [String], withMoves: Bool) {
        changes = old.members != new.members
        epochBefore = plan.epochBefore
        epochAfter = changes ? plan.epochAfter : plan.epochBefore
        copies = plan.copies
        moved = plan.moves.count
        movedShare = plan.movedShare
        unavoidable = plan.unavoidable
        unavoidableShare = plan.unavoidableShare
        loadRatioBefore = old.loadRatio
        loadRatioAfter = new.loadRatio
        nodes = plan.nodes.map {
            Node(name: $0.name, before: $0.before, after: $0.after, gains: $0.gains, losses: $0.losses)
        }
        self.epochs = epochs
        moves = withMoves ? plan.moves.map { Move(partition: $0.partition, from: $0.from, to: $0.to) } : nil
    }

    func text(_ plan: RingPlan) -> String {
        guard changes else { return "nothing changes: the ring has these members and weights already\n" }
        var text = RingTable.text(plan)
        text +=
            "greatest load \(Self.ratio(loadRatioBefore)) of the fair share before, \(Self.ratio(loadRatioAfter)) after\n"
        text +=
            "\nMake nodes say the same (which there are, and their weights), and let the ring's history be:\n\n"
            + "cluster:\n  epochs:\n"
        text += epochs.reduce("") { "\($0)    - \($1)\n" }
        guard let moves else { return text }
        var table = TextTable(["partition", "from", "to"], figures: [0])
        for move in moves { table.add(["\(move.partition)", move.from.joined(separator: " "), move.to]) }
        return text + "\n" + table.text(empty: "nothing moves")
    }

    private static func ratio(_ value: Double) -> String {
        let thousandths = Int((value * 1000).rounded())
        return "\(thousandths / 1000).\(String(thousandths % 1000 + 1000).dropFirst())"
    }
}
