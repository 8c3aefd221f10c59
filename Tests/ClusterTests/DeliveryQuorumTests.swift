import Cluster
import Mail
import Testing

@Suite("Delivery quorum")
struct DeliveryQuorumTests {
    private static let full = Reason(552, "5.2.2", "mailbox full")
    private static let busy = Reason(451, "4.3.1", "disk full")

    @Test("One owner, quorum one: its answer is the verdict")
    func single() {
        for verdict in [Verdict.accepted, .deferred(Self.busy), .refused(Self.full)] {
            var quorum = DeliveryQuorum(owners: [[7]], quorum: 1)
            #expect(quorum.awaited == [7])
            #expect(quorum.answered(node: 7, recipient: 0, verdict) == .init(recipient: 0, verdict: verdict))
            #expect(quorum.isDecided)
            #expect(quorum.verdicts == [verdict])
        }
    }

    @Test("Two of three accepted: accepted at once, and what comes later changes nothing")
    func majority() {
        var quorum = DeliveryQuorum(owners: [[1, 2, 3]], quorum: 2)
        #expect(quorum.answered(node: 1, recipient: 0, .accepted) == nil)
        #expect(quorum.answered(node: 1, recipient: 0, .accepted) == nil)
        #expect(quorum.answered(node: 3, recipient: 0, .accepted) == .init(recipient: 0, verdict: .accepted))
        #expect(quorum.answered(node: 2, recipient: 0, .refused(Self.full)) == nil)
        #expect(quorum.verdicts == [.accepted])
    }

    @Test("A deferral decides as soon as the quorum is out of reach, not sooner")
    func deferral() {
        var quorum = DeliveryQuorum(owners: [[1, 2, 3]], quorum: 2)
        #expect(quorum.answered(node: 2, recipient: 0, .deferred(Self.busy)) == nil)
        #expect(quorum.nodeLost(1) == [.init(recipient: 0, verdict: .deferred(Self.busy))])
    }

    @Test("Refusals alone are a verdict only when all owners refused")
    func refusals() {
        var quorum = DeliveryQuorum(owners: [[1, 2, 3]], quorum: 2)
        #expect(quorum.answered(node: 1, recipient: 0, .refused(Self.full)) == nil)
        #expect(quorum.answered(node: 2, recipient: 0, .refused(Self.full)) == nil)
        #expect(quorum.answered(node: 3, recipient: 0, .refused(Self.full))?.verdict == .refused(Self.full))

        var mixed = DeliveryQuorum(owners: [[1, 2, 3]], quorum: 2)
        #expect(mixed.answered(node: 1, recipient: 0, .refused(Self.full)) == nil)
        #expect(mixed.answered(node: 2, recipient: 0, .refused(Self.full)) == nil)
        #expect(mixed.answered(node: 3, recipient: 0, .accepted)?.verdict == .deferred(.unexpected))
    }

    @Test("A lost node answers for all its recipients, and the time limit for all who are silent")
    func lostAndLate() {
        var quorum = DeliveryQuorum(owners: [[1, 2], [2, 3], [3, 4]], quorum: 2)
        #expect(quorum.nodeLost(2).map(\.recipient) == [0, 1])
        #expect(quorum.awaited == [3, 4])
        #expect(quorum.answered(node: 3, recipient: 2, .accepted) == nil)
        #expect(quorum.timedOut().map(\.recipient) == [2])
        #expect(quorum.isDecided)
        #expect(quorum.timedOut().isEmpty)
    }

    @Test("Strangers' answers and recipients that do not exist change nothing")
    func strangers() {
        var quorum = DeliveryQuorum(owners: [[1]], quorum: 1)
        #expect(quorum.answered(node: 9, recipient: 0, .accepted) == nil)
        #expect(quorum.answered(node: 1, recipient: 1, .accepted) == nil)
        #expect(quorum.answered(node: 1, recipient: -1, .accepted) == nil)
        #expect(!quorum.isDecided)
    }

    @Test("Any order of answers: each recipient decided once, by the rules", arguments: 0..<8 as Range<UInt64>)
    func anyOrder(seed: UInt64) {
        var random = SeededGenerator(seed)
        for _ in 0..<1_000 {
            let owners = Int.random(in: 1...5, using: &random)
            let needed = Int.random(in: 1...owners, using: &random)
            let answers = (0..<owners).map { _ -> Verdict in
                [.accepted, .deferred(Self.busy), .refused(Self.full)].randomElement(using: &random) ?? .accepted
            }
            var quorum = DeliveryQuorum(owners: [(0..<owners).map(Ring.NodeIndex.init(_:))], quorum: needed)
            var decisions: [Verdict] = []
            var heard: [Verdict] = []
            for node in (0..<owners).shuffled(using: &random) {
                heard.append(answers[node])
                guard let decision = quorum.answered(node: .init(node), recipient: 0, answers[node]) else { continue }
                decisions.append(decision.verdict)
                if decision.verdict.isAccepted { #expect(heard.filter(\.isAccepted).count == needed) }
            }
            let accepted = answers.filter(\.isAccepted).count
            let refused = answers.filter { $0 == .refused(Self.full) }.count
            #expect(decisions.count == 1)
            switch decisions.first {
            case .accepted: #expect(accepted >= needed)
            case .refused: #expect(refused == owners)
            case .deferred: #expect(accepted < needed && refused < owners)
            case nil: break
            }
        }
    }
}

/// Random numbers that a seed repeats (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
