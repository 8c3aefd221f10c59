import Cluster

/// Changes the ring's members while all goes on: a node that owned nothing gets its share, another one is emptied. Processes
/// hear of it one after the other.
final class Operator {
    private unowned let site: Site
    private var world: World { site.world }
    private var isStopped = false

    private static let propagation = SimulatedTime.seconds(8)
    private static let settlingInterval = SimulatedTime.seconds(5)

    init(_ site: Site) { self.site = site }

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
        let member = site.ring.members[world.random.below(site.nodes.count)]
        let isEmptied = member.weight == 0
        let owners = site.ring.members.count { $0.weight > 0 }
        guard isEmptied || owners > site.ring.replicas else { return }
        let changed = RingMember(name: member.name, weight: isEmptied ? 1 : 0, zone: member.zone)
        site.add(epoch: site.ring.adding(changed))
        world.note("epoch \(site.ring.epoch): \(member.name) \(isEmptied ? "gets its share" : "is to be emptied")")
        for process in site.processes {
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
        let haveMoved = site.nodes.allSatisfy { node in
            node.isUp && !node.isHanging && node.ring == site.ring && node.strays.isEmpty && !node.disk.hasHeld
        }
        guard haveMoved, !site.isSettled else { return }
        site.settle()
        world.note("epoch \(site.ring.epoch) is settled")
    }
}
