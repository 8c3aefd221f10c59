import Simulation
import Testing

@Suite("A ring of 1,000 nodes")
struct SimulatedRingTests {
    @Test("It is even, and a change moves no more than it must")
    func survey() {
        let survey = RingSurvey(nodes: 1_000, partitions: 8_192, replicas: 3)
        print(survey.text)
        #expect(survey.balance <= 1.05)
        #expect(survey.added <= 1.05)
        #expect(survey.removed <= 1.05)
    }

    @Test("An operation costs no more with 1,000 nodes than with eight")
    func cost() {
        let costs = OperationCost.survey(nodes: 1_000, replicas: 3, quorum: 2)
        let small = OperationCost.survey(nodes: 8, replicas: 3, quorum: 2)
        for (cost, other) in zip(costs, small) {
            print(cost.text)
            // Where a copy waits decides whether one question more is asked.
            #expect(cost.datagrams <= other.datagrams + 6)
        }
    }
}
