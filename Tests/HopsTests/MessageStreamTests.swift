import Mail
import NIOCore
import SMTP
import Testing

@testable import Hops
@testable import Wire

@Suite("A large message on its way to one node")
struct MessageStreamTests {
    /// What a stream has told.
    private final class Told {
        var verdicts: [Verdict] = []
        var changes = 0
        var failures: [String] = []
    }

    private func stream(_ told: Told) -> (MessageStream, NodeTransaction) {
        let recipient = SMTPRecipient(address: EmailAddress(local: "a", domain: "b.test"))
        let transaction = NodeTransaction(identity: nil, recipients: [recipient]) { told.verdicts += $0 }
        let stream = MessageStream(
            transaction: transaction, session: LinkSession(SMTPClientSettings(mode: .lmtp, clientName: "f")),
            target: DialTarget(endpoint: .tcp(host: "127.0.0.1", port: 1), timeout: .seconds(1)),
            times: ConnectionTimes(idle: .zero, total: .zero), stallTimeout: .seconds(30), lagTimeout: .seconds(1),
            changed: { told.changes += 1 }, stalled: { _ in }, failed: { told.failures.append($0) })
        return (stream, transaction)
    }

    @Test("Who waits for a node that is given up hears that it need not, and the node is not to blame")
    func abandoned() {
        let told = Told()
        let (stream, _) = stream(told)
        #expect(stream.isBlocked)
        stream.abandon()
        #expect(!stream.isBlocked && told.changes == 1 && told.failures == [])
        #expect(told.verdicts.count == 1)
    }

    @Test("A node that does not answer in time has failed, and so has one that ends the connection")
    func unanswered() {
        for isOver in [false, true] {
            let told = Told()
            let (stream, transaction) = stream(told)
            if isOver { stream.closed(.closed) } else { transaction.expire() }
            #expect(told.verdicts == [.unanswered] && told.changes == 1)
            #expect(told.failures == [isOver ? "the node closed the connection" : "the node does not answer"])
        }
    }
}
