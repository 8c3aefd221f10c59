/// The network between processes: it delays, loses, doubles and reorders, and it may be cut, in one direction or both.
final class Network {
    private unowned let world: World
    /// Pairs (from, to) that nothing goes through between.
    private var cuts: [Int: Int] = [:]
    var loss = 0.0
    var doubling = 0.0
    /// The longest usual delay.
    var delayMax = SimulatedTime.milliseconds(10)

    init(_ world: World) { self.world = world }

    func send(from: SimulatedProcess, to: SimulatedProcess, mayDouble: Bool, _ work: @escaping () -> Void) {
        world.tally.datagrams += 1
        if world.random.chance(loss) { return }
        deliver(from, to, work)
        if mayDouble, world.random.chance(doubling) { deliver(from, to, work) }
    }

    private func deliver(_ from: SimulatedProcess, _ to: SimulatedProcess, _ work: @escaping () -> Void) {
        guard !isCut(from.place, to.place) else { return }
        world.queue.add(after: world.random.between(100, delayMax)) { [self] in
            if !isCut(from.place, to.place) { to.arrive(work) }
        }
    }

    private func isCut(_ from: Int, _ to: Int) -> Bool {
        !cuts.isEmpty && cuts[pair(from, to)] ?? 0 > 0
    }

    private func pair(_ from: Int, _ to: Int) -> Int { from << 20 | to }

    /// Nothing goes from these to those until `mend` with the same.
    func cut(_ from: [Int], _ to: [Int]) { change(from, to, by: 1) }

    func mend(_ from: [Int], _ to: [Int]) { change(from, to, by: -1) }

    private func change(_ from: [Int], _ to: [Int], by difference: Int) {
        for one in from {
            for other in to where one != other { cuts[pair(one, other), default: 0] += difference }
        }
    }

    func cure() {
        cuts = [:]
        calm()
    }

    /// Loses, doubles and delays as usual.
    func calm() { (loss, doubling, delayMax) = (0, 0, .milliseconds(10)) }
}
