import NIOCore
import Wire

/// The sessions of one event loop: so many at once, each on a connection of its own.
final class POP3LoadLoop: LoadLoop {
    let place: LoadPlace
    let load: POP3Load
    let tally: LoadTally
    let found: (@Sendable (String, [UInt8]) -> Void)?
    private let timer: DueTimer
    private var schedule: LoadSchedule
    private var running = 0
    private var isOver = false

    init(
        place: LoadPlace, load: POP3Load, tally: LoadTally, found: (@Sendable (String, [UInt8]) -> Void)?
    ) {
        self.place = place
        self.load = load
        self.tally = tally
        timer = DueTimer(eventLoop: place.eventLoop)
        self.found = found
        let amount = load.amount
        schedule = LoadSchedule(
            begin: .now(), count: amount.count, duration: amount.duration, rate: amount.rate, share: place.share,
            shares: place.shares)
    }

    func start() {
        tally.begin()
        pump()
    }

    private func pump() {
        while !isOver, running < place.connections {
            switch schedule.next(now: .now()) {
            case .start(let number, let intended): open(number, intended)
            case .wait(let until): return timer.set(for: until) { self.pump() }
            case .over: isOver = true
            }
        }
        if isOver, running == 0 { place.finished.succeed(()) }
    }

    private func open(_ number: Int, _ intended: NIODeadline) {
        running += 1
        let connection = POP3LoadConnection(loop: self, number: number, intended: intended)
        tally.change { $0.connections += 1 }
        Dialer.connect(load.target.dialTarget, on: place.eventLoop, conversation: connection)
    }

    /// A refused connection is told from inside `open`, so the next one is not begun from here.
    func closed() {
        running -= 1
        let bound = NIOLoopBound(self, eventLoop: place.eventLoop)
        place.eventLoop.execute { bound.value.pump() }
    }
}
