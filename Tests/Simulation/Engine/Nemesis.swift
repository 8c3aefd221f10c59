/// Brings the faults of a scenario, one after the other, until it is told to stop.
final class Nemesis {
    private unowned let world: World
    private var isStopped = false

    init(_ world: World) { self.world = world }

    func start() {
        wait()
        for _ in 0..<world.scenario.disksLost {
            world.after(span(0, world.scenario.duration)) { [self] in
                if !isStopped { world.loseDisk(world.random.pick(world.nodes)) }
            }
        }
    }

    func stop() { isStopped = true }

    private func wait() {
        let mean = world.scenario.faultInterval
        world.after(world.random.between(0, 2 * mean)) { [self] in
            guard !isStopped else { return }
            strike()
            wait()
        }
    }

    private func strike() {
        let node = world.random.pick(world.nodes)
        switch world.random.below(19) {
        case 0, 1, 2: node.crash("kill -9", downFor: span(.milliseconds(100), .seconds(20)))
        case 3, 4: node.powerCut("power cut", downFor: span(.milliseconds(100), .seconds(20)))
        case 5: cutPowerOfAll()
        case 6, 7: fault { node.hang(for: span(.milliseconds(200), .seconds(15))) }
        case 8, 9: world.random.pick(world.frontends).crash("kill -9", downFor: span(.milliseconds(100), .seconds(3)))
        case 10, 11, 12: partition(isOneWay: false)
        case 13, 14: partition(isOneWay: true)
        case 15: troubleNetwork()
        case 16: troubleDisk(node) { $0.syncFailure = 0.4 }
        case 17: troubleDisk(node) { [self] in $0.room = world.random.below(4) }
        default: fault { jumpClock() }
        }
    }

    private func span(_ low: SimulatedTime, _ high: SimulatedTime) -> SimulatedTime { world.random.between(low, high) }

    private func fault(_ work: () -> Void) {
        world.tally.faults += 1
        work()
    }

    private func cutPowerOfAll() {
        for node in world.nodes { node.powerCut("power cut of all", downFor: span(.milliseconds(100), .seconds(5))) }
    }

    private func partition(isOneWay: Bool) {
        let all = world.processes.map(\.place)
        let some = world.random.sample(1 + world.random.below(max(1, all.count / 2)), below: all.count).sorted()
        let others = all.filter { !some.contains($0) }
        world.tally.partitions += 1
        world.note("\(isOneWay ? "nothing gets out of" : "cut off"): \(some.map { world.processes[$0].name })")
        let network = world.network
        network.cut(some, others)
        if !isOneWay { network.cut(others, some) }
        heal(after: span(.milliseconds(500), .seconds(20))) {
            network.mend(some, others)
            if !isOneWay { network.mend(others, some) }
        }
    }

    /// Undoes a fault, unless all were undone before.
    private func heal(after time: SimulatedTime, _ work: @escaping () -> Void) {
        world.after(time) { [self] in
            if !isStopped { work() }
        }
    }

    private func troubleNetwork() {
        world.tally.faults += 1
        let network = world.network
        network.loss = world.random.pick([0, 0.05, 0.3])
        network.doubling = world.random.pick([0, 0.3])
        network.delayMax = .milliseconds(world.random.pick([10, 100, 2_000]))
        world.note("network: loss \(network.loss), doubling \(network.doubling), delay \(network.delayMax / 1_000) ms")
        heal(after: span(.milliseconds(500), .seconds(10))) { network.calm() }
    }

    private func troubleDisk(_ node: StorageNode, _ work: (SimulatedDisk) -> Void) {
        world.tally.faults += 1
        node.note("disk trouble")
        work(node.disk)
        if world.random.chance(0.3) { node.disk.slowness = 300 }
        heal(after: span(.milliseconds(500), .seconds(10))) { node.disk.cure() }
    }

    private func jumpClock() {
        let process = world.random.pick(world.processes)
        let most = world.scenario.clockErrorMax
        process.clockError = span(-most, most)
        process.note("clock is wrong by \(process.clockError / 1_000_000) s")
    }
}
