import Cluster

/// Changes the ring's members while all goes on: a node that owned nothing gets its share, another one is emptied. Processes
/// hear of it one after the other.
final class Operator {
    private unowned let world: World
    private var isStopped = false

    private static let propagation = SimulatedTime.seconds(8)
    private static let settlingInterval = SimulatedTime.seconds(5)

    init(_ world: World) { self.world = world }

    func start() {
        for _ in 0..<world.scenario.memberChanges {
            world.after(world.random.between(0, world.scenario.duration)) { [self] in
                if !isStopped { change() }
            }
        }
        trySettling()
    }

    func stop() { isStopped = true }

    private func change() {
        let member = world.ring.members[world.random.below(world.nodes.count)]
        let isEmptied = member.weight == 0
        let owners = world.ring.members.count { $0.weight > 0 }
        guard isEmptied || owners > world.ring.replicas else { return }
        let changed = RingMember(name: member.name, weight: isEmptied ? 1 : 0, zone: member.zone)
        world.add(epoch: world.ring.adding(changed))
        world.note("epoch \(world.ring.epoch): \(member.name) \(isEmptied ? "gets its share" : "is to be emptied")")
        for process in world.processes {
            world.after(world.random.between(0, Self.propagation)) { if process.isUp { process.learnEpoch() } }
        }
    }

    /// As `ring settle`: every node must answer, go by the last ring, and have nothing that belongs to others.
    private func trySettling() {
        world.after(Self.settlingInterval) { [self] in
            guard !isStopped else { return }
            settle()
            trySettling()
        }
    }

    private func settle() {
        let haveMoved = world.nodes.allSatisfy { node in
            node.isUp && !node.isHanging && node.ring == world.ring && node.strays.isEmpty && !node.disk.hasHeld
        }
        guard haveMoved, !world.isSettled else { return }
        world.settle()
        world.note("epoch \(world.ring.epoch) is settled")
    }
}
