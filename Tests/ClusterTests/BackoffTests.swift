import Cluster
import Testing

@Suite("Back-off")
struct BackoffTests {
    @Test("As qmail-send: tries at 0, 400, 1600, 3600 … seconds after birth")
    func quadratic() {
        var now: Int64 = 1_000_000
        var ages: [Int64] = []
        for _ in 0..<5 {
            ages.append(now - 1_000_000)
            now = QuadraticBackoff.remote.nextTry(birth: 1_000_000, now: now)
        }
        #expect(ages == [0, 400, 1_600, 3_600, 6_400])
        #expect(QuadraticBackoff.local.nextTry(birth: 0, now: 0) == 100)
    }

    @Test("The next try is later than now, whatever the clocks say")
    func clocks() {
        for (birth, now) in [(100, 0), (0, Int64.max), (Int64.min, Int64.max), (Int64.max, Int64.min), (0, 1 << 40)]
            as [(Int64, Int64)]
        {
            let next = QuadraticBackoff.remote.nextTry(birth: birth, now: now)
            #expect(next > now || now == .max)
        }
    }

    @Test("Reconnecting: doubled up to the bound, spread over its upper half")
    func reconnect() {
        let backoff = ReconnectBackoff(first: .milliseconds(100), max: .seconds(5))
        #expect(backoff.delay(failures: 1, random: 0) == .milliseconds(50))
        #expect(backoff.delay(failures: 2, random: 0) == .milliseconds(100))
        #expect(backoff.delay(failures: 4, random: 0) == .milliseconds(400))
        #expect(backoff.delay(failures: .max, random: 0) == .milliseconds(2_500))
        for failures in [Int.min, 0, 1, 7, 1_000] {
            for random in [0, 1 << 63, .max] as [UInt64] {
                let delay = backoff.delay(failures: failures, random: random)
                #expect(delay >= .milliseconds(50) && delay <= .seconds(5))
            }
        }
    }
}

@Suite("Preference list")
struct PreferenceListTests {
    private let ring = Ring(members: nodes(9, zones: 3), partitions: 64, replicas: 3)

    @Test("While all live: the owners in their order, then every other node once")
    func allLive() {
        for partition in 0..<64 {
            let list = PreferenceList.live(ring, partition: partition) { _ in true }
            #expect(Array(list.prefix(3)) == Array(ring.owners(ofPartition: partition)))
            #expect(list.sorted() == Array(0..<9))
            #expect(PreferenceList.live(ring, partition: partition, count: 3) { _ in true } == Array(list.prefix(3)))
        }
    }

    @Test("A dead owner's stand-in comes from the zone that lost its copy")
    func standIn() {
        for partition in 0..<64 {
            let owners = Array(ring.owners(ofPartition: partition))
            let list = PreferenceList.live(ring, partition: partition, count: 3) { $0 != owners[1] }
            #expect(list.prefix(2) == [owners[0], owners[2]])
            #expect(ring.member(list[2]).zone == ring.member(owners[1]).zone)
        }
    }

    @Test("A dead node's stand-ins are not all the same node")
    func spread() {
        let single = Ring(members: nodes(6), partitions: 600, replicas: 1)
        var standIns: [Ring.NodeIndex: Int] = [:]
        for partition in 0..<600 where single.owners(ofPartition: partition).first == 0 {
            standIns[PreferenceList.live(single, partition: partition, count: 1) { $0 != 0 }[0], default: 0] += 1
        }
        #expect(standIns.count == 5)
        #expect(standIns.values.allSatisfy { (10...35).contains($0) })
    }

    @Test("Nobody lives: nobody is preferred")
    func nobody() {
        #expect(PreferenceList.live(ring, partition: 0) { _ in false }.isEmpty)
    }
}
