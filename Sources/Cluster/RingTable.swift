/// The ring and its changes as tables for a terminal.
package enum RingTable {
    /// One line per node, and what they say together.
    package static func text(_ ring: Ring) -> String {
        let loads = ring.loads()
        let firsts = ring.firstOwnerLoads()
        let fair = ring.fairShares()
        var rows = [["node", "zone", "weight", "copies", "fair", "load", "preferred"]]
        for (index, member) in ring.members.enumerated() {
            rows.append([
                member.name, member.zone ?? "-", "\(member.weight)", "\(loads[index])", decimal(fair[index], 1),
                fair[index] > 0 ? percent(Double(loads[index]) / fair[index]) : "-", "\(firsts[index])",
            ])
        }
        let copies = ring.replicas == 1 ? "1 copy" : "\(ring.replicas) copies"
        return """
            epoch \(ring.epoch): \(ring.members.count) nodes, \(ring.partitions) partitions, \(copies) of each

            \(aligned(rows, leftColumns: 2))

            greatest load \(decimal(ring.loadRatio, 3)) of the fair share

            """
    }

    /// What a plan moves, one line per node, and what they say together.
    package static func text(_ plan: RingPlan) -> String {
        var rows = [["node", "before", "after", "gets", "gives"]]
        for node in plan.nodes {
            rows.append([
                node.name, "\(node.before)", "\(node.after)", node.gains == 0 ? "-" : "+\(node.gains)",
                node.losses == 0 ? "-" : "-\(node.losses)",
            ])
        }
        return """
            epoch \(plan.epochBefore) to \(plan.epochAfter)

            \(aligned(rows, leftColumns: 1))

            \(plan.moves.count) of \(plan.copies) copies move (\(percent(plan.movedShare))); \
            unavoidable are \(plan.unavoidable) (\(percent(plan.unavoidableShare)))

            """
    }

    private static func aligned(_ rows: [[String]], leftColumns: Int) -> String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column < leftColumns ? cell + padding : padding + cell
            }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }

    static func percent(_ share: Double) -> String { decimal(share * 100, 1) + "%" }

    /// With that many digits behind the point, rounded.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value.magnitude * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return "\(value < 0 && scaled > 0 ? "-" : "")\(scaled / scale).\(zeros)\(fraction)"
    }
}

extension Ring {
    /// What each member ought to hold, in copies: by weight, as far as distinct owners and zones allow it.
    package func fairShares() -> [Double] {
        RingShares(members: members, partitions: partitions, replicas: replicas).fair
    }

    /// The greatest load of all members, as a multiple of its fair share: the goal is at most 1.05, or one copy more
    /// than fair where a share is below 20 copies.
    package var loadRatio: Double {
        zip(loads(), fairShares()).reduce(0) { $1.1 > 0 ? max($0, Double($1.0) / $1.1) : $0 }
    }
}
