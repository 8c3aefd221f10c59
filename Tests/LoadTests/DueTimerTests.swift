import NIOCore
import NIOEmbedded
import Testing

@testable import Load

@Suite("When the next message is due")
struct DueTimerTests {
    @Test("is waited for once, however many messages end meanwhile")
    func oneWait() {
        let eventLoop = EmbeddedEventLoop()
        let timer = DueTimer(eventLoop: eventLoop)
        var calls = 0
        let due = eventLoop.now + .milliseconds(10)
        for _ in 0..<5 { timer.set(for: due) { calls += 1 } }
        eventLoop.advanceTime(by: .milliseconds(9))
        #expect(calls == 0)
        eventLoop.advanceTime(by: .milliseconds(1))
        #expect(calls == 1)
    }

    @Test("can be asked for again when it has come, also from there")
    func again() {
        let eventLoop = EmbeddedEventLoop()
        let timer = DueTimer(eventLoop: eventLoop)
        var calls = 0
        func wait() {
            timer.set(for: eventLoop.now + .milliseconds(10)) {
                calls += 1
                wait()
            }
        }
        wait()
        eventLoop.advanceTime(by: .milliseconds(35))
        #expect(calls == 3)
    }
}
