import ArgumentParser
import Cluster
import Foundation
import Hops
import Membership
import NIOPosix
import Wire

extension NodeQuestions {
    /// With the certificate of one of the cluster's processes, whichever this machine has.
    convenience init(_ configuration: ClusterConfiguration, timeout: Duration = .seconds(10)) throws {
        let names = configuration.processNames
        let name = names.first { access(configuration.hopIdentity(of: $0).key, R_OK) == 0 }
        let isPlain = configuration.nodes.allSatisfy(configuration.isPlain)
        guard isPlain || name != nil else {
            throw CommandFailure(
                "storage nodes talk to the cluster's processes only, and none of their keys can be read here "
                    + "(trust.key, such as \(configuration.hopIdentity(of: names.first ?? "").key)): run this where one runs"
            )
        }
        self.init(
            ClusterMap(configuration), tls: try ClientTLS(hopsOf: name ?? "", configuration),
            connectTimeout: configuration.delivery.connectTimeout, timeout: timeout,
            group: MultiThreadedEventLoopGroup.singleton)
    }
}

/// `status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how it stands with the storage nodes: who answers, what moves, what waits.",
        discussion: """
            'stray' are partitions that a node has mail of and does not own any more: they are brought to their owners. \
            'waiting' are mailboxes in which something waits for another node that was away.

              hauberk status
              hauberk status --watch
            """)

    @Flag(help: "Go on until everything has moved, with a progress bar.")
    var watch = false

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        let map = ClusterMap(configuration)
        let questions = try NodeQuestions(configuration)
        var statuses = await questions.statuses()
        if watch { statuses = try await watch(questions, map, statuses) }
        await questions.quit()
        let view = ClusterStatus(map, statuses)
        try output.show(view, view.text)
        if !view.isWell { throw ExitCode.failure }
    }

    private func watch(
        _ questions: NodeQuestions, _ map: ClusterMap, _ first: [NodeStatus?]
    ) async throws -> [NodeStatus?] {
        var statuses = first
        var progress = MoveProgress()
        let start = ContinuousClock.now
        while !ClusterStatus(map, statuses).hasMoved {
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            note("\r\u{1B}[K" + progress.line(statuses.compactMap { $0 }, seconds: seconds), terminator: "")
            try await Task.sleep(for: .seconds(1))
            statuses = await questions.statuses()
        }
        note("\r\u{1B}[K", terminator: "")
        return statuses
    }
}

/// One line on moves that are under way: partitions left, bytes moved, rate, time left.
struct MoveProgress {
    private static let barWidth = 24
    private var first: (octets: Int, left: Int)?

    mutating func line(_ statuses: [NodeStatus], seconds: Double) -> String {
        let all = statuses.reduce(0) { $0 + $1.strays }
        let left = statuses.reduce(0) { $0 + $1.straysLeft }
        let octets = statuses.reduce(0) { $0 + $1.octetsMoved }
        let first = first ?? (octets, left)
        self.first = first
        let share = all == 0 ? 0 : Double(all - left) / Double(all)
        let full = Int(share * Double(Self.barWidth))
        let bar = String(repeating: "#", count: full) + String(repeating: "-", count: Self.barWidth - full)
        var parts = ["[\(bar)] \(left) of \(all) partitions left", "\(Self.size(octets)) moved"]
        if seconds >= 1 {
            parts.append("\(Self.size(Int(Double(octets - first.octets) / seconds)))/s")
            let done = first.left - left
            if done > 0 { parts.append("\(Int((Double(left) * seconds / Double(done)).rounded(.up))) s left") }
        }
        return parts.joined(separator: ", ")
    }

    static func size(_ octets: Int) -> String {
        var value = Double(octets)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024 { return "\((value * 10).rounded() / 10) \(unit)" }
            value /= 1024
        }
        return "\((value * 10).rounded() / 10) TiB"
    }
}

/// What all nodes say together.
struct ClusterStatus: Encodable {
    struct Node: Encodable {
        let node: String
        let zone: String?
        let weight: Int
        let answers: Bool
        let epoch: UInt64?
        let strays: Int?
        let straysLeft: Int?
        let messagesMoved: Int?
        let octetsMoved: Int?
        let mailboxesWaiting: Int?
        /// Whether there may be more: counting took too long, or something cannot be looked at.
        let mayMoreWait: Bool?
        let repairPartitions: Int?
        let repairDone: Int?
        /// What was deleted before it may be forgotten as far as the node knows, in seconds since 1970.
        let forgets: Int64?
        let obstacle: String?
    }

    let epoch: UInt64
    let settledEpoch: UInt64
    /// Whether every node goes by this epoch, and none has mail that it does not own, nor keeps any for another node.
    let hasMoved: Bool
    let nodes: [Node]

    init(_ map: ClusterMap, _ statuses: [NodeStatus?]) {
        epoch = map.epoch
        settledEpoch = map.settledEpoch
        let ring = map.ring.fingerprint
        hasMoved = statuses.allSatisfy { status in
            guard let status else { return false }
            return status.ring == ring && !status.isLooking && status.straysLeft == 0
                && status.mailboxesWaiting == 0
        }
        nodes = zip(map.nodes, statuses).map { node, status in
            Node(
                node: node.name, zone: node.zone, weight: node.weight, answers: status != nil, epoch: status?.epoch,
                strays: status?.strays, straysLeft: status?.straysLeft, messagesMoved: status?.messagesMoved,
                octetsMoved: status?.octetsMoved, mailboxesWaiting: status?.mailboxesWaiting,
                mayMoreWait: status?.mayMoreWait,
                repairPartitions: status?.repairPartitions, repairDone: status?.repairDone, forgets: status?.forgets,
                obstacle: status?.obstacle)
        }
    }

    /// Whether all nodes answer, and go by this epoch.
    var isWell: Bool { nodes.allSatisfy { $0.epoch == epoch } }

    var text: String {
        var table = TextTable(
            ["node", "zone", "weight", "epoch", "stray", "moved", "waiting", "compared", ""],
            figures: [2, 3, 4, 5, 6, 7])
        for node in nodes {
            guard let epoch = node.epoch else {
                table.add([node.node, node.zone ?? "", "\(node.weight)", "", "", "", "", "", "does not answer"])
                continue
            }
            let compared = node.repairPartitions.flatMap { all in
                all > 0 ? "\((node.repairDone ?? 0) * 100 / all)%" : nil
            }
            table.add([
                node.node, node.zone ?? "", "\(node.weight)", "\(epoch)", "\(node.straysLeft ?? 0)",
                MoveProgress.size(node.octetsMoved ?? 0),
                "\(node.mailboxesWaiting ?? 0)\(node.mayMoreWait == true ? "+" : "")", compared ?? "",
                node.obstacle ?? (node.weight == 0 ? "is to be emptied" : " "),
            ])
        }
        return table.text(empty: "no nodes") + "\n" + conclusion
    }

    private var conclusion: String {
        if !isWell { return "not every node answers and goes by epoch \(epoch) yet\n" }
        if !hasMoved { return "epoch \(epoch): mail is moving to its owners\n" }
        if settledEpoch < epoch {
            return "epoch \(epoch): everything is with its owners; 'hauberk ring settle' says so to all\n"
        }
        return "epoch \(epoch), settled\n"
    }
}

/// `ring settle`.
struct RingSettle: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settle",
        abstract: "Say that a change of the storage nodes is over.",
        discussion: """
            Asks all storage nodes whether any still has mail that belongs to others, and if none has, writes the epoch \
            into cluster.settled: from then on mailboxes are looked for at their owners only. Without it nothing is \
            wrong, but former owners are asked at every login.

              hauberk ring settle
            """)

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    private struct View: Encodable {
        let settled: UInt64
    }

    func run() async throws {
        let file = try await ClusterFile(file)
        let configuration = file.configuration
        let map = ClusterMap(configuration)
        guard !map.isSettled else {
            return try output.show(View(settled: map.epoch), "epoch \(map.epoch) is settled already\n")
        }
        let questions = try NodeQuestions(configuration)
        let statuses = await questions.statuses()
        await questions.quit()
        let view = ClusterStatus(map, statuses)
        guard view.hasMoved else {
            throw CommandFailure("not settled:\n\n\(view.text)")
        }
        var new = configuration
        new.cluster.settled = Int(map.epoch)
        try await file.change(to: new, byHand: "Write by hand: cluster.settled: \(map.epoch)") {
            try $0.setSettled(map.epoch)
        }
        try output.show(
            View(settled: map.epoch),
            "epoch \(map.epoch) is settled. \(file.afterwards)")
    }
}
