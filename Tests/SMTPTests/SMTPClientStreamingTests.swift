import Mail
import SMTP
import Testing

@Suite("SMTP client, streaming")
struct SMTPClientStreamingTests {
    private let offers = ["PIPELINING", "CHUNKING"]
    private let id = SMTPTransactionID(1)

    @Test("RFC 3030 §2: a message of unknown size goes in chunks, alone on its connection")
    func chunks() {
        let client = TestedClient(mode: .lmtp, offers: offers, inFlight: 4)
        client.beginStreaming(1, ["a@x.test", "b@x.test"])
        #expect(!client.chunk(1, 1, isLast: false))
        client.submit(2, ["a@x.test"])
        #expect(client.said() == "MAIL FROM:<s@x.test>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n")
        #expect(client.hear("250 ok\r\n550 5.1.1 no\r\n") == "")
        #expect(client.events == [])
        #expect(client.hear("250 ok\r\n") == "")
        #expect(client.events == [.startedStreaming(id)])
        #expect(client.chunk(1, 10, isLast: false) && client.said() == "BDAT 10\r\n")
        #expect(client.chunk(1, 0, isLast: true) && client.said() == "BDAT 0 LAST\r\n")
        #expect(!client.chunk(1, 1, isLast: true) && client.said() == "")
        #expect(client.hear("250 ok\r\n") == "")
        #expect(client.hear("250 ok\r\n").hasPrefix("MAIL"))
        let verdicts: [Verdict] = [.refused(Reason(550, "5.1.1", "no")), .accepted]
        #expect(client.events.prefix(2) == [.startedStreaming(id), .verdicts(id, verdicts)])
    }

    @Test("RFC 1870 §5: a message whose size is known is told by it, and nothing of one is sent that is too large")
    func size() {
        for (size, isSent) in [(1000, true), (1001, false)] {
            let client = TestedClient(mode: .lmtp, offers: offers + ["SIZE 1000"])
            client.beginStreaming(1, ["a@x.test"], size)
            #expect(
                client.said() == (isSent ? "MAIL FROM:<s@x.test> SIZE=1000\r\nRCPT TO:<a@x.test>\r\n" : ""))
            let refusal = Reason(552, "5.3.4", "message is too big for the next server")
            #expect(isSent || client.events == [.verdicts(id, [.refused(refusal)])])
            if isSent {
                _ = client.hear("250 ok\r\n250 ok\r\n")
                #expect(client.chunk(1, 10, isLast: false) && client.said() == "BDAT 10\r\n")
            }
        }
    }

    @Test("RFC 3030 §2: after a refused chunk there are no more, and RSET clears the way")
    func refusedChunk() {
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.beginStreaming(1, ["a@x.test"])
        _ = client.hear("250 ok\r\n250 ok\r\n")
        #expect(client.chunk(1, 10, isLast: false) && client.chunk(1, 10, isLast: false))
        _ = client.said()
        _ = client.hear("452 4.3.1 full\r\n")
        #expect(client.events.last == .verdicts(id, [.deferred(Reason(452, "4.3.1", "full"))]))
        client.submit(2, ["a@x.test"])
        #expect(!client.chunk(1, 10, isLast: true) && client.said() == "")
        #expect(client.hear("503 x\r\n") == "RSET\r\n")
        #expect(client.hear("250 ok\r\n").hasPrefix("MAIL"))
    }

    @Test("RFC 3030 §2: a last chunk behind a refused one gets one reply, and RSET follows")
    func refusedBeforeLast() {
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.beginStreaming(1, ["a@x.test", "b@x.test"])
        _ = client.hear("250 ok\r\n250 ok\r\n250 ok\r\n")
        #expect(client.chunk(1, 10, isLast: false) && client.chunk(1, 10, isLast: true))
        _ = client.said()
        #expect(client.hear("552 5.3.4 big\r\n") == "")
        #expect(client.hear("503 x\r\n") == "RSET\r\n")
        client.quit()
        #expect(client.hear("250 ok\r\n") == "QUIT\r\n")
    }

    @Test("An abandoned message is reset, and nothing more is told of it")
    func abandoned() {
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.beginStreaming(1, ["a@x.test"])
        _ = client.hear("250 ok\r\n250 ok\r\n")
        #expect(client.chunk(1, 10, isLast: false))
        _ = client.said()
        client.abandonStreaming(1)
        #expect(client.hear("250 ok\r\n") == "RSET\r\n")
        client.submit(2, ["a@x.test"])
        #expect(client.hear("250 ok\r\n").hasPrefix("MAIL"))
        #expect(client.events == [.startedStreaming(id), .bodyWanted(SMTPTransactionID(2), .raw)])
    }

    @Test("Refused recipients end a streaming message before it begins")
    func refusedRecipients() {
        let client = TestedClient(mode: .lmtp, offers: offers)
        client.beginStreaming(1, ["a@x.test"])
        _ = client.hear("250 ok\r\n550 5.1.1 no\r\n")
        #expect(client.events == [.verdicts(id, [.refused(Reason(550, "5.1.1", "no"))])])
        #expect(!client.chunk(1, 10, isLast: true))
    }

    @Test("RFC 3030: a server without CHUNKING gets no stream")
    func noChunking() {
        let client = TestedClient(mode: .smtp, offers: ["PIPELINING"])
        client.beginStreaming(1, ["a@x.test"])
        #expect(client.events == [.verdicts(id, [.deferred(Reason(451, "4.3.0", "server does not offer CHUNKING"))])])
    }
}
