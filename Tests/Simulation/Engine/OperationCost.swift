/// How many datagrams each operation of a client costs in a cluster of a certain size, replies included.
package struct OperationCost: Sendable {
    package let operation: String
    package let datagrams: Int

    /// Does each operation once, in peace.
    package static func survey(nodes: Int, replicas: Int, quorum: Int) -> [OperationCost] {
        var random = Randomness(seed: 1)
        var scenario = Scenario(&random).peaceful
        (scenario.nodes, scenario.zones, scenario.replicas, scenario.quorum) = (nodes, 5, replicas, quorum)
        (scenario.frontends, scenario.clients, scenario.mailboxes, scenario.clockErrorMax) = (1, 0, 1, 0)
        scenario.topology = .alone
        (scenario.spares, scenario.memberChanges) = (0, 0)
        let world = World(scenario: scenario, random: random, partitions: nodes * 8)
        var costs: [OperationCost] = []
        func measure(_ operation: String, _ work: (@escaping () -> Void) -> Void) {
            let before = world.tally.datagrams
            var isDone = false
            work { isDone = true }
            world.runWhile { !isDone }
            // What goes on behind the answer belongs to it.
            let end = world.now + .seconds(15)
            world.after(.seconds(16)) {}
            world.runWhile { world.now < end }
            costs.append(OperationCost(operation: operation, datagrams: world.tally.datagrams - before))
        }
        let frontend = world.sites[0].frontends[0]
        func deliver(_ operation: String) {
            measure(operation) { done in
                frontend.receive(OutgoingMessage(text: world.nextText(), mailboxes: [0])) { _ in done() }
            }
        }
        var session: MaildropSession?
        func open(_ operation: String) {
            measure(operation) { done in
                frontend.open(0) {
                    session = $0
                    done()
                }
            }
        }
        deliver("a message")
        open("opening a maildrop")
        measure("QUIT that deletes") { done in
            guard let session else { return done() }
            frontend.quit(session, deleting: session.listing.messages) { _ in done() }
        }
        let dead = world.sites[0].nodes[world.sites[0].owners(of: 0)[0]]
        dead.crash("kill -9", downFor: .seconds(3_600))
        deliver("a message when an owner has just died")
        open("opening a maildrop while an owner is down")
        dead.start()
        world.after(.seconds(10)) {}
        open("opening a maildrop when the owner is back")
        return costs
    }

    package var text: String { "\(operation): \(datagrams) datagrams" }
}
