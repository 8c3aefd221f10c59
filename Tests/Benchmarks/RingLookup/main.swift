import Cluster
import Glibc
import Mail

// Prints how many nanoseconds of CPU it takes to find the owners of a mailbox: the median of nine runs over 1,000
// mailboxes, in a ring of 4,096 partitions, two owners each.
//
// usage: ring-lookup [NODES]

let nodes = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 100
let members = (0..<nodes).map { RingMember(name: "node\($0)", zone: "zone\($0 % 10)") }
let ring = Ring(members: members, partitions: 4096, replicas: 2)
let mailboxes = (0..<1000).compactMap { MailboxName(local: "user\($0)", domain: "example.test") }
let rounds = 200

func lookUpAll() -> Int {
    var sum = 0
    for mailbox in mailboxes {
        for owner in ring.owners(of: mailbox) { sum &+= Int(owner) }
    }
    return sum
}

func cpuNanoseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

var sum = 0
var times: [Double] = []
for _ in 0..<9 {
    let begin = cpuNanoseconds()
    for _ in 0..<rounds { sum &+= lookUpAll() }
    times.append((cpuNanoseconds() - begin) / Double(rounds * mailboxes.count))
}
times.sort()
// The sum is used, so that the work is really done.
precondition(sum > 0 || nodes == 1)
print((times[times.count / 2] * 10).rounded() / 10)
