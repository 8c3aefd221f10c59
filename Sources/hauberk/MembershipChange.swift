import ArgumentParser
import Cluster

/// What an operator wants to change in the ring's membership.
struct MembershipChange: ParsableArguments {
    @Option(
        name: .customLong("add"),
        help: ArgumentHelp(
            "A node that comes; may be given again. Its weight is 1 unless it is said, and its zone none.",
            valueName: "node[:weight[:zone]]"),
        transform: MembershipChange.newcomer)
    var newcomers: [RingMember] = []

    @Option(
        name: .customLong("remove"), help: ArgumentHelp("A node that goes; may be given again.", valueName: "node"))
    var leavers: [String] = []

    @Option(
        name: .customLong("set-weight"),
        help: ArgumentHelp("A node with another weight; may be given again.", valueName: "node=weight"),
        transform: MembershipChange.weight)
    var weights: [Weight] = []

    /// One node's new weight.
    struct Weight: Sendable {
        let node: String
        let weight: Int
    }

    func validate() throws {
        if newcomers.isEmpty, leavers.isEmpty, weights.isEmpty {
            throw ValidationError("Say what would change: --add, --remove or --set-weight.")
        }
    }

    /// The members after the change.
    func applied(to members: [RingMember], replicas: Int) throws -> [RingMember] {
        var members = members
        for weight in weights {
            let index = try Self.index(of: weight.node, in: members)
            members[index] = RingMember(name: weight.node, weight: weight.weight, zone: members[index].zone)
        }
        for name in leavers { members.remove(at: try Self.index(of: name, in: members)) }
        for newcomer in newcomers {
            guard !members.contains(where: { $0.name == newcomer.name }) else {
                throw CommandFailure("\(newcomer.name) is a member already: --set-weight changes its weight")
            }
            members.append(newcomer)
        }
        guard Ring.isPossible(members, replicas: replicas) else {
            throw CommandFailure(
                "\(members.count { $0.weight > 0 }) nodes would be left, and cluster.replicas is \(replicas): that many must stay"
            )
        }
        return members
    }

    private static func index(of name: String, in members: [RingMember]) throws -> Int {
        guard let index = members.firstIndex(where: { $0.name == name }) else {
            let known = members.map(\.name).joined(separator: ", ")
            throw CommandFailure("the ring has no node \(name); it has: \(known)")
        }
        return index
    }

    @Sendable
    private static func newcomer(_ text: String) throws -> RingMember {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 3, parts[0].wholeMatch(of: name) != nil else {
            throw ValidationError("a new node looks like store-4, store-4:2 or store-4:2:east")
        }
        if parts.count == 3, parts[2].wholeMatch(of: name) == nil {
            throw ValidationError("'\(parts[2])' is no zone's name")
        }
        return RingMember(
            name: parts[0], weight: parts.count > 1 ? try number(parts[1]) : 1, zone: parts.count > 2 ? parts[2] : nil)
    }

    @Sendable
    private static func weight(_ text: String) throws -> Weight {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty else { throw ValidationError("a new weight looks like store-1=2") }
        return Weight(node: parts[0], weight: try number(parts[1]))
    }

    private static func number(_ text: String) throws -> Int {
        guard let weight = Int(text), (0...Ring.weightMax).contains(weight) else {
            throw ValidationError("'\(text)' is no weight: 0 to \(Ring.weightMax) is")
        }
        return weight
    }

    /// As the configuration demands names.
    private static var name: Regex<Substring> { /[A-Za-z0-9][A-Za-z0-9._-]{0,31}/ }
}
