import Simulation
import Synchronization
import Testing

@Suite("Simulated clusters, from seeds")
struct SimulationTests {
    @Test("Whatever fails: nothing acknowledged is lost, nothing deleted comes back, replicas and sites become equal")
    func seeds() async {
        let tally = await Simulation.run(seeds: 1..<1_501, workers: 2) { report in
            let story = report.trace.joined(separator: "\n")
            Issue.record("seed \(report.seed): \(report.complaint ?? "")\n\(story)")
        }
        print(tally.summary)
        #expect(tally.failures == 0)
        #expect(tally.seedsWithSites > 300)
        #expect(tally.carriages > 10_000)
        #expect(tally.relayed > 800)
        #expect(tally.relayedAgain > 100)
        #expect(tally.bounces > 100)
        for step in Step.allCases {
            #expect(tally.crashesBefore[step.rawValue] > 0, "nothing died before \(step)")
            #expect(tally.crashesAfter[step.rawValue] > 0, "nothing died after \(step)")
        }
    }

    @Test("A bug that is planted is found", arguments: PlantedBug.allCases)
    func finds(bug: PlantedBug) async {
        let report = await Simulation.firstFailure(of: bug, seeds: 1..<1_501)
        #expect(report != nil, "a simulator that cannot find a planted bug proves nothing")
        if let report { print("\(bug.rawValue): found by seed \(report.seed): \(report.complaint ?? "")") }
    }

    @Test(
        "Without faults every message is accepted, every maildrop opens and every deletion is told", arguments: 1..<41)
    func peace(seed: UInt64) {
        let report = Simulation.run(seed: seed, isPeaceful: true)
        #expect(report.complaint == nil)
        #expect(report.tally.refused == 0)
        #expect(report.tally.handoffs + report.tally.forgotten == 0)
        #expect(report.tally.doubles == 0)
    }

    @Test(
        "Without faults sites become equal, and nothing goes back to where it came from",
        arguments: Topology.severalSites)
    func sites(topology: Topology) {
        for seed in UInt64(1)..<21 {
            let report = Simulation.run(seed: seed, topology: topology, isPeaceful: true)
            #expect(report.complaint == nil)
            #expect(report.tally.carriages > 0)
            #expect(report.tally.unequalSites == 0)
        }
    }

    @Test("A seed does the same again")
    func repeats() {
        for seed in UInt64(1)..<6 {
            let (first, second) = (Simulation.run(seed: seed, traces: true), Simulation.run(seed: seed, traces: true))
            #expect(first.trace == second.trace)
            #expect(first.tally == second.tally)
        }
    }
}
