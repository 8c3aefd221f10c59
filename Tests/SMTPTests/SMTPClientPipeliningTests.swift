import Mail
import SMTP
import Testing

@Suite("SMTP client, many messages on one connection")
struct SMTPClientPipeliningTests {
    /// What may become of one message.
    enum Fate: CaseIterable {
        case kept, partly, noRecipient, noSender, noText
    }

    private func submit(_ run: PipelinedRun, _ fates: [Fate]) {
        for (number, fate) in fates.enumerated() {
            run.submit(
                UInt64(number), from: fate == .noSender ? "no\(number)" : "s\(number)",
                to: fate == .noRecipient
                    ? ["no\(number)"] : fate == .partly ? ["no\(number)", "a\(number)"] : ["a\(number)"],
                fate == .noText ? "no \(number)\r\n" : "text \(number)\r\n")
        }
    }

    private func expected(_ fate: Fate) -> [Verdict] {
        switch fate {
        case .kept: [.accepted]
        case .partly: [.refused(Reason(550, "5.1.1", "nobody")), .accepted]
        case .noRecipient: [.refused(Reason(550, "5.1.1", "nobody"))]
        case .noSender: [.refused(Reason(550, "5.7.1", "not from you"))]
        case .noText: [.refused(Reason(552, "5.2.2", "refused"))]
        }
    }

    @Test("RFC 2920 §3.1: the next envelope goes out right behind a text, so that a message costs one round trip")
    func data() {
        let run = PipelinedRun(PipeliningPeer(), offers: ["PIPELINING"], inFlight: 2)
        submit(run, Array(repeating: .kept, count: 20))
        run.run()
        #expect(run.verdicts.count == 20 && run.batches.count == 21)
        #expect(run.batches[1] == "text 0\r\n.\r\nMAIL FROM:<s1@x.test>\r\nRCPT TO:<a1@y.test>\r\nDATA\r\n")
        let one = PipelinedRun(PipeliningPeer(), offers: ["PIPELINING"], inFlight: 1)
        submit(one, Array(repeating: .kept, count: 20))
        one.run()
        #expect(one.batches.count == 40)
    }

    @Test(
        "RFC 3030, RFC 2920: with BDAT as many messages as are in flight cost one round trip", arguments: [1, 2, 4, 20])
    func chunks(_ inFlight: Int) {
        let run = PipelinedRun(PipeliningPeer(), offers: ["PIPELINING", "CHUNKING"], inFlight: inFlight)
        submit(run, Array(repeating: .kept, count: 20))
        run.run()
        #expect(run.verdicts.count == 20 && run.batches.count == 20 / inFlight)
    }

    private func large(_ client: TestedClient, _ number: UInt64, to recipients: [String]) {
        let list = recipients.map { SMTPRecipient(address: EmailAddress(local: $0, domain: "y.test")) }
        client.submit(
            SMTPClientTransaction(
                id: SMTPTransactionID(number), sender: .null, recipients: list, byteCount: 1 << 30, asksFirst: true))
    }

    @Test(
        "RFC 3030, RFC 2920: a large text goes out when a recipient was accepted, and not before",
        arguments: [true, false])
    func asksFirst(hasChunks: Bool) {
        let client = TestedClient(mode: .smtp, offers: ["PIPELINING"] + (hasChunks ? ["CHUNKING"] : []), inFlight: 2)
        large(client, 1, to: ["no", "a"])
        #expect(client.said() == "MAIL FROM:<>\r\nRCPT TO:<no@y.test>\r\nRCPT TO:<a@y.test>\r\n")
        #expect(client.hear("250 ok\r\n550 5.1.1 nobody\r\n") == "")
        let command = hasChunks ? "BDAT 1073741824 LAST\r\n" : "DATA\r\n"
        #expect(client.hear("250 ok\r\n") == command)
        if !hasChunks { #expect(client.hear("354 go on\r\n") == "") }
        #expect(client.events == [.bodyWanted(SMTPTransactionID(1), hasChunks ? .raw : .dotStuffed)])
        client.bodySent(1)
        _ = client.hear("250 taken\r\n")
        let refused = Verdict.refused(Reason(550, "5.1.1", "nobody"))
        #expect(client.events.last == .verdicts(SMTPTransactionID(1), [refused, .accepted]))
    }

    @Test("RFC 3030: a large text that nobody wants is not sent, and the next message is", arguments: ["550", "450"])
    func unwanted(code: String) {
        let client = TestedClient(mode: .smtp, offers: ["PIPELINING", "CHUNKING"], inFlight: 1)
        large(client, 1, to: ["no"])
        client.submit(2, ["a@y.test"])
        _ = client.said()
        let said = client.hear("250 ok\r\n\(code) nobody\r\n")
        #expect(said == "RSET\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nBDAT 5 LAST\r\n")
        #expect(client.events.count == 2 && client.events[1] == .bodyWanted(SMTPTransactionID(2), .raw))
    }

    @Test("RFC 2920 §3: without PIPELINING nothing is sent before its reply, however many may be in flight")
    func lockStep() {
        for offers in [[], ["CHUNKING"]] {
            let run = PipelinedRun(PipeliningPeer(), offers: offers, inFlight: 4)
            submit(run, [.kept, .noRecipient, .kept])
            run.run()
            #expect(run.verdicts == [0: [.accepted], 1: expected(.noRecipient), 2: [.accepted]])
            for batch in run.batches {
                let withText = batch.hasPrefix("BDAT") || batch.hasPrefix("text")
                #expect(batch.split(separator: "\r\n").count == (withText ? 2 : 1), "\(batch)")
            }
        }
    }

    @Test("RFC 3030: RSET keeps a message from a failed one's envelope, unless a storage node takes it")
    func separation() {
        let run = PipelinedRun(PipeliningPeer(), offers: ["PIPELINING", "CHUNKING"], inFlight: 2)
        submit(run, [.noRecipient, .kept])
        run.run()
        #expect(
            run.batches == [
                "MAIL FROM:<s0@x.test>\r\nRCPT TO:<no0@y.test>\r\nBDAT 8 LAST\r\ntext 0\r\n"
                    + "RSET\r\nMAIL FROM:<s1@x.test>\r\nRCPT TO:<a1@y.test>\r\nBDAT 8 LAST\r\ntext 1\r\n"
            ])
        let node = PipeliningPeer(isLMTP: true)
        node.holdsEnvelopes = false
        let own = PipelinedRun(node, offers: ["PIPELINING", "CHUNKING", "XHAUBERK"], inFlight: 2)
        submit(own, [.noRecipient, .noText, .kept, .kept])
        own.run()
        #expect(own.verdicts.count == 4 && own.verdicts[3] == [.accepted])
        #expect(!own.batches.joined().contains("RSET"))
    }

    @Test("RFC 5321 §4.2.2: a server that finds MAIL out of sequence has refused no message for good")
    func outOfSequence() {
        let client = TestedClient(mode: .smtp, offers: ["PIPELINING"])
        client.submit(1, ["a@x.test"])
        _ = client.hear("503 5.5.1 nested MAIL\r\n503 x\r\n503 x\r\n")
        let reason = Reason(451, "4.5.0", "the server takes no MAIL now: 503 nested MAIL")
        #expect(client.events == [.verdicts(SMTPTransactionID(1), [.deferred(reason)])])
    }

    @Test("In lock step too, RSET follows a text that was refused, for the server may hold its envelope")
    func refusedText() {
        let run = PipelinedRun(PipeliningPeer(), offers: ["CHUNKING"], inFlight: 1)
        submit(run, [.noText, .kept, .kept])
        run.run()
        #expect(run.verdicts == [0: expected(.noText), 1: [.accepted], 2: [.accepted]])
        #expect(run.batches.filter { $0 == "RSET\r\n" }.count == 1)
    }

    @Test(
        "Whatever becomes of each message, every verdict is its own, and no message is kept under another's envelope",
        arguments: [false, true], [["PIPELINING", "CHUNKING"], ["PIPELINING"], ["CHUNKING"], []])
    func everything(_ isLMTP: Bool, _ offers: [String]) {
        for inFlight in [1, 2, 3] {
            for choice in 0..<4 * 125 {
                // In LMTP a text that nobody gets ends the conversation where a server asks for it.
                let asks = choice & 1 != 0 && !isLMTP
                let peer = PipeliningPeer(isLMTP: isLMTP)
                peer.holdsEnvelopes = choice & 2 != 0
                peer.asksForNobodysText = asks
                let all = Fate.allCases
                let code = choice / 4
                let fates = [all[code % 5], all[code / 5 % 5], all[code / 25 % 5]]
                let run = PipelinedRun(peer, offers: offers, inFlight: inFlight)
                submit(run, fates)
                run.run()
                check(run, peer, fates)
            }
        }
    }

    private func check(_ run: PipelinedRun, _ peer: PipeliningPeer, _ fates: [Fate]) {
        var kept: [PipeliningPeer.Kept] = []
        for (number, fate) in fates.enumerated() {
            guard run.verdicts[UInt64(number)] == expected(fate) else {
                Issue.record("\(fates): \(number): \(String(describing: run.verdicts[UInt64(number)]))")
                return
            }
            guard fate == .kept || fate == .partly else { continue }
            kept.append(
                .init(sender: "s\(number)@x.test", recipients: ["a\(number)@y.test"], text: "text \(number)"))
        }
        let found = peer.kept.map { item in
            PipeliningPeer.Kept(
                sender: item.sender, recipients: item.recipients, text: item.text.replacing("\r\n", with: ""))
        }
        if !run.troubles.isEmpty || found != kept { Issue.record("\(fates): \(run.troubles) \(found)") }
    }
}
