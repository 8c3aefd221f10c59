/// Brings every node to its target by moving as few copies as possible.
extension RingBuilder {
    mutating func level() {
        takeFromOverfull(newOnly: true)
        takeFromOverfull(newOnly: false)
        var rounds = 0
        while rounds < table.count, shiftAlongPath() { rounds += 1 }
    }

    /// Lets each node that lacks copies take them straight from nodes that have too many. It walks the partitions in an
    /// order of its own, so that what it takes comes from everywhere.
    private mutating func takeFromOverfull(newOnly: Bool) {
        var surplus = members.indices.reduce(0) { $0 + max(0, loads[$1] - targets[$1]) }
        let takers = members.indices.filter { loads[$0] < targets[$0] }
            .sorted { (targets[$1] - loads[$1], seeds[$1]) < (targets[$0] - loads[$0], seeds[$0]) }
        for node in takers where surplus > 0 {
            var partition = Int(seeds[node] % UInt64(partitions))
            let step = stepWidth(seeds[node])
            for _ in 0..<partitions where loads[node] < targets[node] {
                for copy in partition * replicas..<(partition + 1) * replicas {
                    let owner = Int(table[copy])
                    guard loads[owner] > targets[owner], fits(node, copy) else { continue }
                    if newOnly, ownedBefore(owner, copy) { continue }
                    move(copy, to: node)
                    surplus -= 1
                    break
                }
                partition = (partition + step) % partitions
            }
        }
    }

    /// A step that reaches every partition: it has no factor in common with their number.
    private func stepWidth(_ seed: UInt64) -> Int {
        var step = Int(seed >> 32) % partitions
        while !isCoprime(step, partitions) { step += 1 }
        return step
    }

    private func isCoprime(_ left: Int, _ right: Int) -> Bool {
        var (left, right) = (left, right)
        while right != 0 { (left, right) = (right, left % right) }
        return left == 1
    }

    /// One node has too many and no node that lacks may take from it: then a third one passes on what it holds.
    ///
    /// It is the cheapest path from any overfull to any lacking node, where a copy costs nothing that is moving anyway, or
    /// that goes to a node which owned the partition before. There is one while a node is not at its target, because the
    /// targets are rounded from shares that fit exactly.
    private mutating func shiftAlongPath() -> Bool {
        var copiesOf = [[Int]](repeating: [], count: members.count)
        for (copy, node) in table.enumerated() { copiesOf[Int(node)].append(copy) }
        guard let path = cheapestPath(copiesOf, costMax: table.count) else { return false }
        for step in path {
            // Two steps that meet in one partition may get into each other's way: the next path starts from here.
            guard fits(step.node, step.copy) else { break }
            move(step.copy, to: step.node)
        }
        return true
    }

    typealias Step = (copy: Int, node: Int)

    /// - Parameter copiesOf: for each node the copies that it may pass on.
    func cheapestPath(_ copiesOf: [[Int]], costMax: Int) -> [Step]? {
        var costs = [Int](repeating: .max, count: members.count)
        var arrivedBy = [Int](repeating: -1, count: members.count)
        var layer = members.indices.filter { loads[$0] > targets[$0] }
        for node in layer { costs[node] = 0 }
        var cost = 0
        while !layer.isEmpty, cost <= costMax {
            var next: [Int] = []
            var position = 0
            while position < layer.count {
                let node = layer[position]
                position += 1
                guard costs[node] == cost else { continue }
                if loads[node] < targets[node] { return steps(to: node, arrivedBy) }
                for copy in copiesOf[node] {
                    let leaves = ownedBefore(node, copy) ? 1 : 0
                    for other in members.indices where costs[other] > cost && fits(other, copy) {
                        let through = cost + (leaves == 1 && !ownedBefore(other, copy) ? 1 : 0)
                        guard costs[other] > through else { continue }
                        costs[other] = through
                        arrivedBy[other] = copy
                        if through == cost { layer.append(other) } else { next.append(other) }
                    }
                }
            }
            layer = next
            cost += 1
        }
        return nil
    }

    /// The moves that lead to `node`, the last one first, so that each is allowed when its turn comes.
    private func steps(to node: Int, _ arrivedBy: [Int]) -> [Step] {
        var steps: [Step] = []
        var node = node
        while arrivedBy[node] >= 0 {
            let copy = arrivedBy[node]
            steps.append((copy, node))
            node = Int(table[copy])
        }
        return steps
    }
}
