import Glibc
import Simulation

let usage = "usage: simulate [--seed N] [--count K] [--bug NAME] [--trace] | --ring"

func fail(_ text: String) -> Never {
    print(text)
    exit(2)
}

var numbers: [String: UInt64] = [:]
var bug: PlantedBug?
var (traces, surveysRing) = (false, false)
var words = CommandLine.arguments.dropFirst()

while let word = words.popFirst() {
    switch word {
    case "--seed", "--count":
        guard let number = words.popFirst().flatMap({ UInt64($0) }) else { fail("\(word) needs a number") }
        numbers[word] = number
    case "--trace": traces = true
    case "--ring": surveysRing = true
    case "--bug":
        bug = words.popFirst().flatMap { PlantedBug(rawValue: $0) }
        if bug == nil { fail("--bug needs one of: \(PlantedBug.allCases.map(\.rawValue).joined(separator: " "))") }
    default: fail(usage)
    }
}

if surveysRing {
    for (nodes, partitions) in [(1_000, 4_096), (1_000, 65_536)] {
        print(RingSurvey(nodes: nodes, partitions: partitions, replicas: 3).text)
    }
    for cost in OperationCost.survey(nodes: 1_000, replicas: 3, quorum: 2) { print(cost.text) }
    exit(0)
}

let seed = numbers["--seed"]
let count = numbers["--count"] ?? (seed == nil ? 10_000 : 1)
if traces {
    let report = Simulation.run(seed: seed ?? 1, bug: bug, traces: true)
    for line in report.trace { print(line) }
    print(report.tally.summary)
    exit(report.complaint == nil ? 0 : 1)
}

let first = seed ?? 1
let tally = await Simulation.run(seeds: first..<first + count, workers: 2, bug: bug) {
    // One write, so that two workers do not mix their lines.
    print((["seed \($0.seed): \($0.complaint ?? "")"] + $0.trace).joined(separator: "\n"))
}
print(tally.summary)
exit(tally.failures == 0 ? 0 : 1)
