import Testing

@testable import SMTP

@Suite("Reply queue")
struct ReplyQueueTests {
    @Test("RFC 2920 §3.2: replies come in the order of the commands, whichever outcome is known first")
    func order() {
        var queue = ReplyQueue()
        queue.append(Array("a".utf8))
        queue.await(SMTPTransactionID(1), verdictCount: 1)
        queue.append(Array("b".utf8))
        queue.await(SMTPTransactionID(2), verdictCount: 2)
        queue.append(Array("c".utf8))
        #expect(queue.takeOutput().text == "a")
        queue.settle(SMTPTransactionID(2), Array("2".utf8))
        #expect(queue.takeOutput().isEmpty && queue.inFlight == 2)
        queue.settle(SMTPTransactionID(1), Array("1".utf8))
        #expect(queue.takeOutput().text == "1b2c" && queue.isSettled)
        queue.append(Array("d".utf8))
        #expect(queue.takeOutput().text == "d")
    }

    @Test("Replies that wait are bounded, and free again when they are out")
    func bound() {
        var queue = ReplyQueue()
        queue.await(SMTPTransactionID(1), verdictCount: 1)
        while !queue.isFull { queue.append(Array(repeating: 120, count: 1000)) }
        queue.settle(SMTPTransactionID(1), [])
        #expect(!queue.isFull)
    }
}
