/// One run of a seed, and what came of it.
package struct SeedReport: Sendable {
    package let seed: UInt64
    package let tally: Tally
    /// What was wrong; nil if nothing.
    package let complaint: String?
    /// One line an event, if it was asked for.
    package let trace: [String]
}

/// Clusters from seeds, each in one process in simulated time.
package enum Simulation {
    /// Runs one seed. The same seed does the same, whatever else runs.
    ///
    /// - Parameters:
    ///   - topology: nil for the one that the seed chooses.
    ///   - isPeaceful: without any fault.
    package static func run(
        seed: UInt64, bug: PlantedBug? = nil, topology: Topology? = nil, isPeaceful: Bool = false,
        traces: Bool = false
    ) -> SeedReport {
        var random = Randomness(seed: seed)
        var scenario = Scenario(&random)
        if let topology { scenario.topology = topology }
        if isPeaceful { scenario = scenario.peaceful }
        var other = Randomness(seed: ~seed)
        scenario.hasRelay = scenario.topology == .alone && other.chance(0.4)
        let world = World(scenario: scenario, random: random, bug: bug, traces: traces)
        world.note("seed \(seed): \(scenario.text)")
        for site in world.sites { for client in site.clients { client.begin() } }
        let nemesis = Nemesis(world)
        if !isPeaceful, !scenario.isPeaceful { nemesis.start() }
        let operators = world.sites.map { Operator($0) }
        for master in operators { master.start() }
        let healing = Healing(world)
        world.after(scenario.duration) {
            nemesis.stop()
            for master in operators { master.stop() }
            healing.start()
        }
        world.run()
        return SeedReport(seed: seed, tally: world.tally, complaint: world.complaint, trace: world.trace.lines)
    }

    /// Runs a number of seeds on so many threads at once.
    ///
    /// - Parameter failed: told each seed that fails, with its trace, on any thread.
    package static func run(
        seeds: Range<UInt64>, workers: Int, bug: PlantedBug? = nil, failed: @escaping @Sendable (SeedReport) -> Void
    ) async -> Tally {
        let source = SeedSource(seeds)
        return await withTaskGroup(of: Tally.self) { group in
            for _ in 0..<workers {
                group.addTask {
                    var tally = Tally()
                    while let seed = source.next() {
                        let report = run(seed: seed, bug: bug)
                        tally += report.tally
                        // Whatever else runs in the process has its turn.
                        await Task.yield()
                        if report.complaint != nil { failed(run(seed: seed, bug: bug, traces: true)) }
                    }
                    return tally
                }
            }
            return await group.reduce(into: Tally()) { $0 += $1 }
        }
    }

    /// The first of these seeds that finds a bug.
    package static func firstFailure(of bug: PlantedBug?, seeds: Range<UInt64>) async -> SeedReport? {
        for seed in seeds {
            await Task.yield()
            let report = run(seed: seed, bug: bug)
            if report.complaint != nil { return report }
        }
        return nil
    }
}
