import NIOCore
import SMTP
import Wire

/// Room for one connection at a time: makes it anew where it ends, and sends again what certainly was not taken.
final class SMTPLoadSlot {
    /// A server that cannot be reached for so long is given up.
    private static let patience = TimeAmount.seconds(10)

    private unowned let loop: SMTPLoadLoop
    private var connection: SMTPLoadConnection?
    /// Accepted from the loop, not yet given to a connection.
    private var waiting: [SMTPLoadItem] = []
    private var inFlight = 0
    private var sentOnConnection = 0
    /// How many more messages the next connection has room for, once this one has ended.
    private var roomAfterwards = 0
    private var unreachableSince: NIODeadline?
    private var noMore = false
    private(set) var isDead = false

    init(loop: SMTPLoadLoop) { self.loop = loop }

    /// Whether nothing is under way and nothing will come.
    var isFinished: Bool { isDead || (noMore && inFlight == 0) }

    func connect() {
        sentOnConnection = 0
        let next = SMTPLoadConnection(slot: self, load: loop.load)
        connection = next
        loop.connectionOpened()
        Dialer.connect(loop.load.target.dialTarget, on: loop.place.eventLoop, conversation: next)
    }

    func send(_ item: SMTPLoadItem) {
        inFlight += 1
        waiting.append(item)
        sendWaiting()
    }

    private func sendWaiting() {
        guard let connection else { return waiting.isEmpty || isDead ? () : connect() }
        guard connection.isReady, !isUsedUp else { return }
        let items = waiting
        waiting = []
        sentOnConnection += items.count
        for item in items { connection.submit(item) }
    }

    /// Whether the connection has had all the messages that it is to have.
    private var isUsedUp: Bool { loop.load.messagesPerConnection.map { sentOnConnection >= $0 } ?? false }

    /// There is no more to send: says QUIT as soon as all is answered.
    func finishWhenIdle() {
        noMore = true
        if inFlight == 0 { finish() }
    }

    private func finish() {
        connection?.quit()
        connection = nil
        loop.finishIfDone()
    }

    // MARK: what the connection tells

    func ready(_ ready: SMTPLoadConnection) {
        unreachableSince = nil
        if ready === connection { sendWaiting() }
        loop.slotSettled()
    }

    func ended(_ item: SMTPLoadItem, _ outcomes: [Ledger.Outcome]) {
        loop.ended(item, outcomes)
        inFlight -= 1
        if noMore, inFlight == 0 { return finish() }
        guard isUsedUp, let connection else { return loop.hasRoom(self) }
        roomAfterwards += 1
        if inFlight == waiting.count { connection.quit() }
    }

    /// The connection ended before the answer came.
    func interrupted(_ item: SMTPLoadItem, bodySent: Bool) {
        if bodySent { return ended(item, item.addresses.map { _ in .unknown }) }
        waiting.append(item)
    }

    /// - Parameter trouble: why the connection never became ready; nil if it was.
    func closed(_ closed: SMTPLoadConnection, trouble: String?, forGood: Bool) {
        if closed === connection { connection = nil }
        if let trouble { noteTrouble(trouble, forGood: forGood) }
        if !isDead, connection == nil, !waiting.isEmpty || (trouble != nil && !noMore) {
            reconnect(late: trouble != nil)
        }
        let room = roomAfterwards
        roomAfterwards = 0
        for _ in 0..<room { loop.hasRoom(self) }
        loop.connectionClosed()
    }

    private func noteTrouble(_ trouble: String, forGood: Bool) {
        loop.tally.change { $0.connectionTrouble = trouble }
        let since = unreachableSince ?? .now()
        unreachableSince = since
        if forGood || NIODeadline.now() - since > Self.patience { die() }
    }

    private func die() {
        isDead = true
        for item in waiting {
            inFlight -= 1
            loop.ended(item, item.addresses.map { _ in .unsent })
        }
        waiting = []
        loop.slotSettled()
    }

    private func reconnect(late: Bool) {
        guard late else { return connect() }
        let bound = NIOLoopBound(self, eventLoop: loop.place.eventLoop)
        loop.place.eventLoop.scheduleTask(in: .milliseconds(100)) {
            let slot = bound.value
            if slot.connection == nil, !slot.isDead, !slot.waiting.isEmpty || !slot.noMore { slot.connect() }
        }
    }
}
