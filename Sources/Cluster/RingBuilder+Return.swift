/// Undoes moves that proved to be needless once everything had found its place.
extension RingBuilder {
    /// Gives a node that lost a partition it owned before that partition back, if what it holds instead can be passed on
    /// among copies that are moving anyway. Each success is one copy less to carry.
    mutating func bringBack() {
        // Each attempt looks at the whole table, so a great one gets fewer: a change takes a second or so at most.
        var attempts = 50_000_000 / table.count
        for _ in 0..<3 {
            let needless = movedCount() - unavoidableCount()
            guard needless > 0, bringBackOnce(atMost: needless, &attempts) else { return }
        }
    }

    private mutating func bringBackOnce(atMost limit: Int, _ attempts: inout Int) -> Bool {
        var successes = 0
        for partition in 0..<partitions where successes < limit {
            let first = partition * replicas
            for place in partition * formerReplicas..<(partition + 1) * formerReplicas {
                let node = Int(former[place])
                guard former[place] != Self.hole, !table[first..<first + replicas].contains(former[place]) else {
                    continue
                }
                for copy in first..<first + replicas where attempts > 0 && isMoved(copy) && fits(node, copy) {
                    attempts -= 1
                    guard exchange(copy, to: node) else { continue }
                    successes += 1
                    break
                }
            }
        }
        return successes > 0
    }

    /// Moves the copy to the node if the node's surplus then finds a way that costs nothing; else leaves all as it was.
    private mutating func exchange(_ copy: Int, to node: Int) -> Bool {
        let (tableBefore, loadsBefore, countBefore) = (table, loads, movedCount())
        move(copy, to: node)
        if let path = cheapestPath(copiesInMotion(), costMax: 0) {
            for step in path where fits(step.node, step.copy) { move(step.copy, to: step.node) }
            if loads == loadsBefore, movedCount() < countBefore { return true }
        }
        table = tableBefore
        loads = loadsBefore
        return false
    }

    private func isMoved(_ copy: Int) -> Bool { !ownedBefore(Int(table[copy]), copy) }

    private func movedCount() -> Int { table.indices.reduce(0) { $0 + (isMoved($1) ? 1 : 0) } }

    /// What the nodes that grow must be given, whatever the table.
    private func unavoidableCount() -> Int {
        var loadsBefore = [Int](repeating: 0, count: members.count)
        for node in former where node != Self.hole { loadsBefore[Int(node)] += 1 }
        return members.indices.reduce(0) { $0 + max(0, targets[$1] - loadsBefore[$1]) }
    }

    /// For each node its copies in partitions where something moves.
    private func copiesInMotion() -> [[Int]] {
        var copiesOf = [[Int]](repeating: [], count: members.count)
        for first in stride(from: 0, to: table.count, by: replicas) {
            let copies = first..<first + replicas
            guard copies.contains(where: isMoved) else { continue }
            for copy in copies { copiesOf[Int(table[copy])].append(copy) }
        }
        return copiesOf
    }
}
