import Testing

@testable import Hops

@Suite("How a storage node stands, in words")
struct NodeStatusTests {
    @Test("What is told is heard, and what is not known is passed over")
    func roundTrip() {
        var status = NodeStatus()
        status.epoch = 3
        status.ring = .max
        status.strays = 4
        status.mailboxesWaiting = 2
        status.mayMoreWait = true
        status.isLooking = true
        status.forgets = 1_700_000_000
        status.obstacle = "alice@example.test is open here"
        #expect(NodeStatus(status.text) == status)
        #expect(NodeStatus("later=1 \(status.text)") == status)
        status.forgets = nil
        #expect(NodeStatus(status.text) == status)
    }
}
