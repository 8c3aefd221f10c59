import Mail
import NIOCore
import SMTP
import Wire

/// The slots of one event loop, and which message goes to which of them when.
final class SMTPLoadLoop: LoadLoop {
    let place: LoadPlace
    let load: SMTPLoad
    let maker: MessageMaker
    let tally: LoadTally
    let ledger: Ledger?
    private var slots: [SMTPLoadSlot] = []
    private let timer: DueTimer
    private var schedule: LoadSchedule?
    /// A slot stands here once for each message that it has room for.
    private var free = FreeSlots<SMTPLoadSlot>()
    private var unsettled = 0
    private var openConnections = 0
    private var pumping = false
    private var lastID: UInt64 = 0

    init(place: LoadPlace, load: SMTPLoad, maker: MessageMaker, tally: LoadTally, ledger: Ledger?) {
        self.place = place
        self.load = load
        self.maker = maker
        self.tally = tally
        timer = DueTimer(eventLoop: place.eventLoop)
        self.ledger = ledger
    }

    /// Connections that are to last are made first, so that the first messages do not wait for them.
    func start() {
        slots = (0..<place.connections).map { _ in SMTPLoadSlot(loop: self) }
        guard load.messagesPerConnection == nil else { return begin() }
        unsettled = slots.count
        for slot in slots { slot.connect() }
    }

    /// A slot is ready for its first message, or will never be.
    func slotSettled() {
        guard unsettled > 0 else { return }
        unsettled -= 1
        if unsettled == 0 { begin() }
    }

    private func begin() {
        let amount = load.amount
        schedule = LoadSchedule(
            begin: .now(), count: amount.count, duration: amount.duration, rate: amount.rate, share: place.share,
            shares: place.shares)
        tally.begin()
        for _ in 0..<load.settings.transactionsInFlightMax {
            for slot in slots where !slot.isDead { free.append(slot) }
        }
        pump()
        finishIfDone()
    }

    func hasRoom(_ slot: SMTPLoadSlot) {
        free.append(slot)
        pump()
    }

    private func pump() {
        guard !pumping else { return }
        pumping = true
        defer { pumping = false }
        while let slot = free.first {
            guard !slot.isDead else { _ = free.removeFirst(); continue }
            switch schedule?.next(now: .now()) {
            case .start(let number, let intended):
                _ = free.removeFirst()
                slot.send(item(number, intended))
            case .wait(let until):
                return timer.set(for: until) { self.pump() }
            case .over, nil:
                _ = free.removeFirst()
                slot.finishWhenIdle()
            }
        }
    }

    private func item(_ number: Int, _ intended: NIODeadline) -> SMTPLoadItem {
        let first = number &* load.recipientsPerMessage
        let addresses = (0..<load.recipientsPerMessage).map { load.recipients[first &+ $0] }
        let message = maker.message(number, recipient: addresses.first ?? "")
        lastID += 1
        return SMTPLoadItem(
            id: SMTPTransactionID(lastID), number: number, token: maker.token(number), intended: intended,
            addresses: addresses, message: message)
    }

    /// What became of a message, once and for all.
    func ended(_ item: SMTPLoadItem, _ outcomes: [Ledger.Outcome]) {
        let bad = outcomes.first { $0 != .replied(250) }
        tally.ended(error: bad?.text, intended: item.intended, messages: 1, octets: item.message.count)
        ledger?.write(token: item.token, Array(zip(item.addresses, outcomes)).map { ($0, $1) })
    }

    // MARK: the end

    func connectionOpened() {
        openConnections += 1
        tally.change { $0.connections += 1 }
    }

    func connectionClosed() {
        openConnections -= 1
        finishIfDone()
    }

    func finishIfDone() {
        guard schedule != nil, openConnections == 0, slots.allSatisfy(\.isFinished) else { return }
        place.finished.succeed(())
    }
}

/// One message on its way.
struct SMTPLoadItem {
    let id: SMTPTransactionID
    let number: Int
    let token: String
    let intended: NIODeadline
    let addresses: [String]
    let message: [UInt8]
}

/// A queue of those that have room; the one that waits longest comes first.
struct FreeSlots<Slot> {
    private var slots: [Slot] = []
    private var head = 0

    var first: Slot? { head < slots.count ? slots[head] : nil }

    mutating func append(_ slot: Slot) { slots.append(slot) }

    mutating func removeFirst() -> Slot? {
        guard let first else { return nil }
        head += 1
        if head == slots.count {
            slots.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 1024, head * 2 > slots.count {
            slots.removeFirst(head)
            head = 0
        }
        return first
    }
}
