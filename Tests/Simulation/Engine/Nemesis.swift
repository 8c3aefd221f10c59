/// Brings the faults of a scenario, one after the other, until it is told to stop.
final class Nemesis {
    private unowned let world: World
    private var isStopped = false

    init(_ world: World) { self.world = world }

    func start() {
        wait()
        for _ in 0..<world.scenario.disksLost {
            world.after(span(0, world.scenario.duration)) { [self] in
                if !isStopped { world.loseDisk(world.random.pick(anySite.nodes)) }
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
        if world.sites.count > 1, world.random.chance(0.25) { return strikeSites() }
        let node = world.random.pick(anySite.nodes)
        switch world.random.below(19) {
        case 0, 1, 2: node.crash("kill -9", downFor: span(.milliseconds(100), .seconds(20)))
        case 3, 4: node.powerCut("power cut", downFor: span(.milliseconds(100), .seconds(20)))
        case 5: cutPowerOfAll()
        case 6, 7: fault { node.hang(for: span(.milliseconds(200), .seconds(15))) }
        case 8, 9: world.random.pick(anySite.frontends).crash("kill -9", downFor: span(.milliseconds(100), .seconds(3)))
        case 10, 11, 12: partition(isOneWay: false)
        case 13, 14: partition(isOneWay: true)
        case 15: troubleNetwork()
        case 16: troubleDisk(node) { $0.syncFailure = 0.4 }
        case 17: troubleDisk(node) { [self] in $0.room = world.random.below(4) }
        default: fault { jumpClock() }
        }
    }

    private var anySite: Site { world.sites.count > 1 ? world.random.pick(world.sites) : world.sites[0] }

    private func strikeSites() {
        let first = anySite
        let second = world.random.pick(world.sites.filter { $0 !== first })
        switch world.random.below(12) {
        case 0, 1: cutLink(first, second, isOneWay: false, for: span(.milliseconds(500), .seconds(40)))
        case 2: cutLink(first, second, isOneWay: true, for: span(.milliseconds(500), .seconds(40)))
        case 3, 4: flapLink(first, second, times: 2 + world.random.below(6))
        case 5: isolate(first)
        case 8, 9, 10, 11: failAndCutPower(world.random.pick(first.nodes))
        case 6: for process in first.processes { process.crash("site down", downFor: span(.seconds(1), .seconds(40))) }
        default:
            for node in first.nodes { node.powerCut("site without power", downFor: span(.seconds(1), .seconds(20))) }
        }
    }

    private func cutLink(
        _ from: Site, _ to: Site, isOneWay: Bool, for time: SimulatedTime, then: @escaping () -> Void = {}
    ) {
        world.tally.linkCuts += 1
        world.note("\(isOneWay ? "nothing gets through" : "no link") from \(from.name) to \(to.name)")
        let network = world.network
        let (some, others) = (from.processes.map(\.place), to.processes.map(\.place))
        network.cut(some, others)
        if !isOneWay { network.cut(others, some) }
        heal(after: time) {
            network.mend(some, others)
            if !isOneWay { network.mend(others, some) }
            then()
        }
    }

    /// The link comes and goes, so that what was taken is not heard of now and then.
    private func flapLink(_ from: Site, _ to: Site, times: Int) {
        guard times > 0 else { return }
        let isOneWay = world.random.chance(0.5)
        cutLink(from, to, isOneWay: isOneWay, for: span(.milliseconds(5), .seconds(2))) { [self] in
            heal(after: span(.milliseconds(20), .seconds(2))) { [self] in flapLink(from, to, times: times - 1) }
        }
    }

    /// What could not be synced is gone.
    private func failAndCutPower(_ node: StorageNode) {
        troubleDisk(node) {
            $0.syncFailure = 0.5
        } then: { [self] in
            node.powerCut("power cut after disk trouble", downFor: span(.milliseconds(100), .seconds(5)))
        }
    }

    private func isolate(_ site: Site) {
        let time = span(.seconds(1), .seconds(40))
        for other in world.sites where other !== site { cutLink(site, other, isOneWay: false, for: time) }
    }

    private func span(_ low: SimulatedTime, _ high: SimulatedTime) -> SimulatedTime { world.random.between(low, high) }

    private func fault(_ work: () -> Void) {
        world.tally.faults += 1
        work()
    }

    private func cutPowerOfAll() {
        for node in anySite.nodes { node.powerCut("power cut of all", downFor: span(.milliseconds(100), .seconds(5))) }
    }

    private func partition(isOneWay: Bool) {
        let all = world.processes
        let picked = world.random.sample(1 + world.random.below(max(1, all.count / 2)), below: all.count).sorted()
        let some = picked.map { all[$0].place }
        let others = all.map(\.place).filter { !some.contains($0) }
        world.tally.partitions += 1
        world.note("\(isOneWay ? "nothing gets out of" : "cut off"): \(picked.map { all[$0].name })")
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

    private func troubleDisk(
        _ node: StorageNode, _ work: (SimulatedDisk) -> Void, then: @escaping () -> Void = {}
    ) {
        world.tally.faults += 1
        node.note("disk trouble")
        work(node.disk)
        if world.random.chance(0.3) { node.disk.slowness = 300 }
        heal(after: span(.milliseconds(500), .seconds(10))) {
            node.disk.cure()
            then()
        }
    }

    private func jumpClock() {
        let process = world.random.pick(world.processes)
        let most = world.scenario.clockErrorMax
        process.clockError = span(-most, most)
        process.note("clock is wrong by \(process.clockError / 1_000_000) s")
    }
}
