import Mail
import SeededRandom
import Testing

@testable import Cluster

@Suite("Delivery plan: sloppy quorum, handoff, hold")
struct DeliveryPlanTests {
    private static let full = Reason(552, "5.2.2", "mailbox full")
    private static let busy = Reason(451, "4.3.1", "disk full")

    private static func ring(nodes: Int, replicas: Int) -> Ring {
        Ring(members: (0..<nodes).map { RingMember(name: "n\($0)") }, partitions: 16, replicas: replicas)
    }

    private static func plan(
        nodes: Int, replicas: Int, quorum: Int, canResend: Bool = true, durableAt: Ring.NodeIndex? = nil
    ) -> (DeliveryPlan, [Ring.NodeIndex]) {
        let ring = ring(nodes: nodes, replicas: replicas)
        let plan = DeliveryPlan(
            ring: ring, partitions: [3], quorum: quorum, canResend: canResend, durableAt: durableAt)
        return (plan, Array(ring.owners(ofPartition: 3)))
    }

    @Test("All owners live: each gets its own copy, and W acceptances are the verdict at once")
    func allLive() {
        var (plan, owners) = Self.plan(nodes: 5, replicas: 3, quorum: 2)
        let copies = plan.start { _ in true }
        #expect(copies.map(\.node) == owners)
        #expect(copies.allSatisfy { $0.kind == .own && $0.node == $0.owner })
        #expect(plan.answered(copies[0], .accepted) { _ in true }.isEmpty)
        #expect(plan.verdicts == [nil])
        #expect(plan.answered(copies[1], .accepted) { _ in true }.isEmpty)
        #expect(plan.verdicts == [.accepted])
        #expect(!plan.isFinished)
        #expect(plan.answered(copies[2], .accepted) { _ in true }.isEmpty)
        #expect(plan.isFinished)
        #expect(plan.forgotten.isEmpty)
    }

    @Test("An owner that is not live is stood in for from the start")
    func deadOwner() {
        var (plan, owners) = Self.plan(nodes: 5, replicas: 2, quorum: 2)
        let dead = owners[0]
        let copies = plan.start { $0 != dead }
        let handoff = copies.first { $0.owner == dead }
        #expect(handoff?.kind == .handoff)
        #expect(handoff.map { !owners.contains($0.node) } == true)
    }

    @Test("A node is waited for while the message cannot have W copies without it, stand-in or not")
    func needed() {
        var (plan, owners) = Self.plan(nodes: 5, replicas: 3, quorum: 2, canResend: false)
        let copies = plan.start { $0 != owners[0] }
        let standIn = copies[0].node
        // Three are on their way, and two are enough.
        for node in [standIn, owners[1], owners[2]] { #expect(plan.canDoWithout(node)) }
        _ = plan.answered(copies[1], .deferred(Self.busy)) { _ in true }
        for node in [standIn, owners[2]] { #expect(!plan.canDoWithout(node)) }
        _ = plan.answered(copies[2], .accepted) { _ in true }
        #expect(!plan.canDoWithout(standIn))
        _ = plan.answered(copies[0], .accepted) { _ in true }
        #expect(plan.canDoWithout(standIn) && plan.verdicts == [.accepted])
    }

    @Test("An owner that fails after W are durable is not forgotten: its copy goes on by handoff")
    func lateFailure() {
        var (plan, owners) = Self.plan(nodes: 4, replicas: 3, quorum: 2)
        let copies = plan.start { _ in true }
        for copy in copies[..<2] { _ = plan.answered(copy, .accepted) { _ in true } }
        #expect(plan.isDecided)
        let more = plan.answered(copies[2], .deferred(Self.busy)) { _ in true }
        #expect(more.count == 1)
        #expect(more[0].kind == .handoff)
        #expect(more[0].owner == owners[2])
        #expect(plan.answered(more[0], .accepted) { _ in true }.isEmpty)
        #expect(plan.isFinished)
        #expect(plan.forgotten.isEmpty)
    }

    @Test("With no other node left, one that has the message holds it for the owner; that makes no further copy")
    func hold() {
        var (plan, owners) = Self.plan(nodes: 3, replicas: 3, quorum: 3)
        let copies = plan.start { _ in true }
        _ = plan.answered(copies[0], .accepted) { _ in true }
        _ = plan.answered(copies[1], .accepted) { _ in true }
        let more = plan.answered(copies[2], .deferred(Self.busy)) { _ in true }
        #expect(more.map(\.kind) == [.hold])
        #expect(more.first?.owner == owners[2])
        #expect(plan.verdicts == [.deferred(Self.busy)])
        _ = plan.answered(more[0], .accepted) { _ in true }
        #expect(plan.verdicts == [.deferred(Self.busy)])
        #expect(plan.isFinished)
        #expect(plan.forgotten.isEmpty)
    }

    @Test("What cannot be sent again is held by whoever stored it")
    func streams() {
        var (plan, _) = Self.plan(nodes: 6, replicas: 2, quorum: 1, canResend: false)
        let copies = plan.start { _ in true }
        #expect(plan.answered(copies[0], .deferred(Self.busy)) { _ in true }.isEmpty)
        #expect(plan.verdicts == [nil])
        let more = plan.answered(copies[1], .accepted) { _ in true }
        #expect(more.map(\.kind) == [.hold])
        #expect(plan.verdicts == [.accepted])
    }

    @Test("A node that lags has another one asked beside it, once, and the first answer counts")
    func lagging() {
        var (plan, _) = Self.plan(nodes: 4, replicas: 1, quorum: 1)
        let copy = plan.start { _ in true }[0]
        let standIn = plan.lagging(copy) { $0 != copy.node }
        #expect(standIn.map(\.kind) == [.handoff])
        #expect(plan.lagging(copy) { $0 != copy.node }.isEmpty)
        #expect(plan.answered(standIn[0], .accepted) { _ in true }.isEmpty)
        #expect(plan.verdicts == [.accepted])
        #expect(!plan.isFinished)
        #expect(plan.answered(copy, .accepted) { _ in true }.isEmpty)
        #expect(plan.isFinished)
    }

    @Test("An owner and its own stand-in are one copy, because the stand-in's goes; then it is free for another owner")
    func standInBesideOwner() {
        var (plan, owners) = Self.plan(nodes: 3, replicas: 2, quorum: 2)
        let copies = plan.start { _ in true }
        let standIn = plan.lagging(copies[0]) { _ in true }
        #expect(standIn.map(\.owner) == [owners[0]])
        #expect(plan.lagging(copies[1]) { _ in true }.isEmpty)
        #expect(plan.answered(standIn[0], .accepted) { _ in true }.isEmpty)
        let more = plan.answered(copies[0], .accepted) { _ in true }
        #expect(plan.verdicts == [nil])
        #expect(more.map(\.owner) == [owners[1]] && more.map(\.kind) == [.handoff])
        #expect(more.map(\.node) == standIn.map(\.node))
        _ = plan.answered(more[0], .accepted) { _ in true }
        #expect(plan.verdicts == [.accepted])
    }

    @Test(
        "A stand-in whose owner has the message after all is given it for another owner, though it was told to hold it")
    func freedStandIn() {
        var (plan, owners) = Self.plan(nodes: 3, replicas: 2, quorum: 2)
        let isLive = { (node: Ring.NodeIndex) in node != owners[0] }
        let copies = plan.start(isLive: isLive)
        #expect(copies.map(\.kind) == [.handoff, .own])
        #expect(plan.answered(copies[0], .accepted, isLive: isLive).isEmpty)
        let more = plan.answered(copies[1], .deferred(Self.busy), isLive: isLive)
        #expect(more.map(\.kind) == [.hold, .own])
        // Meanwhile the stand-in has handed over what it had, and has nothing to hold.
        let last = plan.answered(more[1], .accepted, isLive: isLive)
        #expect(last.map(\.kind) == [.handoff])
        #expect(last.first?.node == copies[0].node && last.first?.owner == owners[1])
        #expect(plan.answered(more[0], .deferred(Self.busy), isLive: isLive).isEmpty)
        #expect(plan.verdicts == [nil])
        for copy in last { #expect(plan.answered(copy, .accepted, isLive: isLive).isEmpty) }
        #expect(plan.verdicts == [.accepted])
        #expect(plan.isFinished)
    }

    @Test("Refused only if every owner refused; a refusal is no reason for a handoff")
    func refusals() {
        var (plan, _) = Self.plan(nodes: 4, replicas: 2, quorum: 1)
        let copies = plan.start { _ in true }
        #expect(plan.answered(copies[0], .refused(Self.full)) { _ in true }.isEmpty)
        #expect(plan.verdicts == [nil])
        #expect(plan.answered(copies[1], .refused(Self.full)) { _ in true }.isEmpty)
        #expect(plan.verdicts == [.refused(Self.full)])
    }

    @Test("Deferred only when fewer than W nodes of the whole cluster take the message")
    func tooFew() {
        var (plan, owners) = Self.plan(nodes: 4, replicas: 2, quorum: 2)
        let only = owners[1]
        var queue = plan.start { $0 == only }
        while let copy = queue.popLast() {
            queue += plan.answered(copy, copy.node == only ? .accepted : .deferred(Self.busy)) { $0 == only }
        }
        #expect(plan.verdicts == [.deferred(Self.busy)])
    }

    @Test("Before a message is deferred, one stand-in is asked that was believed dead: it may be back")
    func lostStandIn() {
        for isBack in [true, false] {
            var (plan, owners) = Self.plan(nodes: 4, replicas: 2, quorum: 2)
            let isLive = { (node: Ring.NodeIndex) in owners.contains(node) }
            let copies = plan.start(isLive: isLive)
            #expect(plan.answered(copies[0], .accepted, isLive: isLive).isEmpty)
            let more = plan.answered(copies[1], .deferred(Self.busy), isLive: isLive)
            #expect(Set(more.map(\.kind)) == [.hold, .handoff])
            #expect(plan.verdicts == [nil])
            for copy in more {
                let verdict = isBack || copy.kind == .hold ? Verdict.accepted : .deferred(Self.busy)
                #expect(plan.answered(copy, verdict, isLive: isLive).isEmpty)
            }
            #expect(plan.verdicts == [isBack ? .accepted : .deferred(Self.busy)])
            #expect(plan.isFinished)
            #expect(plan.forgotten.isEmpty)
        }
    }

    @Test("A deletion that this node has made counts this node, and tells the others")
    func deletion() {
        let (_, owners) = Self.plan(nodes: 4, replicas: 3, quorum: 2)
        var (plan, _) = Self.plan(nodes: 4, replicas: 3, quorum: 2, durableAt: owners[1])
        let copies = plan.start { _ in true }
        #expect(copies.map(\.node) == [owners[0], owners[2]])
        _ = plan.answered(copies[0], .accepted) { _ in true }
        #expect(plan.verdicts == [.accepted])
        var (alone, _) = Self.plan(nodes: 4, replicas: 3, quorum: 1, durableAt: owners[1])
        #expect(alone.verdicts == [.accepted])
        #expect(alone.start { _ in true }.count == 2)
    }

    @Test(
        "Whatever fails, in whatever order: accepted means W different nodes, every owner is served or named, and it ends",
        arguments: 0..<40)
    func random(seed: Int) {
        var random = SplitMix(seed: UInt64(seed) &* 0x9E37_79B9 &+ 1)
        for _ in 0..<50 {
            let nodes = Int(random.next() % 6) + 1
            let replicas = Int(random.next() % UInt64(nodes)) + 1
            let quorum = Int(random.next() % UInt64(replicas)) + 1
            let ring = Self.ring(nodes: nodes, replicas: replicas)
            let partitions = (0..<Int(random.next() % 3) + 1).map { _ in Int(random.next() % 16) }
            let dead = Set((0..<nodes).filter { _ in random.next() % 3 == 0 }.map(Ring.NodeIndex.init(_:)))
            var plan = DeliveryPlan(
                ring: ring, partitions: partitions, quorum: quorum, canResend: random.next() % 4 != 0)
            let isLive: (Ring.NodeIndex) -> Bool = { !dead.contains($0) }
            var durable = partitions.map { _ in Set<Ring.NodeIndex>() }
            var served = partitions.map { _ in Set<Ring.NodeIndex>() }
            var queue = plan.start(isLive: isLive)
            var steps = 0
            while !queue.isEmpty {
                steps += 1
                let copy = queue.remove(at: Int(random.next() % UInt64(queue.count)))
                if random.next() % 5 == 0 { queue += plan.lagging(copy, isLive: isLive) }
                let accepts = !dead.contains(copy.node) && random.next() % 5 != 0
                if accepts, copy.kind != .hold {
                    durable[copy.recipient].insert(copy.node)
                    served[copy.recipient].insert(copy.owner)
                }
                queue += plan.answered(copy, accepts ? .accepted : .deferred(Self.busy), isLive: isLive)
                for (index, verdict) in plan.verdicts.enumerated() where verdict == .accepted {
                    #expect(durable[index].count >= quorum && served[index].count >= quorum)
                }
            }
            #expect(plan.isFinished && plan.isDecided)
            #expect(steps <= partitions.count * nodes * (replicas + 1) * 2)
            for (index, verdict) in plan.verdicts.enumerated() {
                #expect((verdict == .accepted) == (served[index].count >= quorum))
            }
        }
    }
}
