import Mail
import SMTP
import Testing

@Suite("Recipients and the mailboxes they lead to")
struct RecipientRoutesTests {
    private let first = SMTPTransactionID(1)
    private let second = SMTPTransactionID(2)
    private let full = Verdict.deferred(Reason(452, "4.2.2", "full"))

    private func destination(_ text: String) throws -> Destination {
        Destination(mailbox: try #require(MailboxName(text)), address: try #require(EmailAddress(text)))
    }

    /// The routes of a message to these recipients, each with its destinations.
    private func begun(_ recipients: [[Destination]]) -> RecipientRoutes {
        var routes = RecipientRoutes()
        for destinations in recipients { _ = routes.add(destinations, of: first) }
        routes.begin()
        return routes
    }

    private func loop(_ text: String) throws -> Verdict {
        RecipientRoutes.loop(try #require(EmailAddress(text)))
    }

    private func delivered(to text: String) -> HeaderScanner.Findings {
        var findings = HeaderScanner.Findings()
        findings.deliveredTo = [text]
        return findings
    }

    @Test("A mailbox that two recipients lead to gets the message once, and both have its verdict")
    func shared() throws {
        let (a, b) = (try destination("a@x.test"), try destination("b@x.test"))
        let routes = begun([[a, b], [b], [a]])
        #expect(routes.destinations == [a, b])
        #expect(routes.replies([.accepted, full], isLMTP: true) == [full, full, .accepted])
        #expect(routes.replies([.accepted, full], isLMTP: false) == [full])
    }

    @Test("RFC 5321 §4.1.1.5: recipients of a transaction that was reset are forgotten, and count no more")
    func reset() throws {
        var routes = RecipientRoutes()
        let (a, b) = (try destination("a@x.test"), try destination("b@x.test"))
        let many = Array(repeating: a, count: RecipientRoutes.destinationsMax)
        let taken = [routes.add(many, of: first), routes.add([b], of: first), routes.add([b], of: second)]
        #expect(taken == [true, false, true])
        routes.begin()
        #expect(routes.destinations == [b] && routes.replies([.accepted], isLMTP: true) == [.accepted])
    }

    @Test("RFC 2033 §4.2: who is in a loop is refused, and the others get the message")
    func loops() throws {
        let (a, b, c) = (try destination("a@x.test"), try destination("b@x.test"), try destination("c@x.test"))
        var routes = begun([[a], [b], [a, c]])
        let address = routes.refuseLoops(delivered(to: "a@x.test"))
        #expect(address == EmailAddress("a@x.test"))
        #expect(routes.destinations == [b])
        let looping = try loop("a@x.test")
        #expect(routes.replies([full], isLMTP: true) == [looping, full, looping])
        let again = routes.refuseLoops(delivered(to: "a@x.test"))
        #expect(again == nil && routes.destinations == [b])
        routes.begin()
        let elsewhere = routes.refuseLoops(delivered(to: "d@x.test"))
        #expect(elsewhere == nil && routes.destinations == [a, b, c])
    }

    @Test("Where all are in a loop, nobody is left")
    func nobody() throws {
        var routes = begun([[try destination("a@x.test")]])
        let address = routes.refuseLoops(delivered(to: "a@x.test"))
        #expect(address != nil && routes.destinations.isEmpty)
        #expect(try routes.replies([], isLMTP: true) == [loop("a@x.test")])
    }
}
