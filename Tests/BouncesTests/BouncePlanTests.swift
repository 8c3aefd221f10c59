import Bounces
import Mail
import Testing

@Suite("Who is told of a bounce")
struct BouncePlanTests {
    @Test("RFC 5321 §4.5.5: the sender is told, by a message from nobody")
    func single() throws {
        let message = try #require(notice(failed()))
        #expect(message.sender == .null && message.recipient == sender)
        #expect(!message.needsUTF8 && !message.isEightBit)
    }

    @Test("What has no sender is told to the postmaster, from an address that cannot exist")
    func double() throws {
        let message = try #require(notice(failed(.null)))
        #expect(message.sender.description == "<#@[]>" && message.recipient == postmaster)
        let parsed = try #require(Parsed(message))
        #expect(parsed.header.contains("To: <postmaster@example.test>"))
        #expect(parsed.parts[0].body.contains("which has no sender"))
    }

    @Test("What the postmaster cannot be told is told to nobody, and the log gets a clean line")
    func triple() throws {
        let recipient = FailedRecipient(address: postmaster, verdict: .refused(Reason(550, "5.2.1", "a\r\nb")))
        let decision = plan.decide(
            failed(BouncePlan.doubleBounceSender, recipients: [recipient]), messageID: "x", now: 0)
        #expect(
            decision
                == .nothing("a notice to the postmaster could not be delivered: refused(550 5.2.1 a??b)"))
        let bounced = try #require(notice(failed(.null)))
        #expect(notice(failed(bounced.sender)) == nil)
    }

    @Test("Nobody is told of what was accepted")
    func accepted() throws {
        #expect(
            plan.decide(failed(recipients: []), messageID: "x", now: 0) == .nothing("nobody failed"))
        let good = FailedRecipient(address: EmailAddress(local: "good", domain: "far.test"), verdict: .accepted)
        #expect(plan.decide(failed(recipients: [good]), messageID: "x", now: 0) == .nothing("nobody failed"))
        let message = try #require(notice(failed(recipients: [good] + failed().recipients)))
        #expect(!String(decoding: message.bytes, as: UTF8.self).contains("good@"))
    }
}
