import DequeModule
import NIOCore
import Wire

/// Tells when transactions have gone without an answer for one certain time. The time is the same for all, so the oldest
/// ends first, and one timer of the event loop serves them.
final class TransactionTimer {
    private let timeout: Duration
    private let eventLoop: any EventLoop
    private let expired: (NodeTransaction) -> Void
    /// When each one's time is over, in that order. Finished ones stay until they come to the head.
    private var ends: Deque<(end: NIODeadline, transaction: NodeTransaction)> = []
    private var timer: Scheduled<Void>?

    init(timeout: Duration, eventLoop: any EventLoop, expired: @escaping (NodeTransaction) -> Void) {
        self.timeout = timeout
        self.eventLoop = eventLoop
        self.expired = expired
    }

    /// The transaction's time begins.
    func add(_ transaction: NodeTransaction) {
        dropFinished()
        ends.append((.now() + TimeAmount(timeout), transaction))
        if timer == nil { arm() }
    }

    private func dropFinished() {
        while let first = ends.first, first.transaction.isFinished { ends.removeFirst() }
    }

    private func arm() {
        dropFinished()
        guard let first = ends.first else { return timer = nil }
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: first.end) { [self] in
            while let first = ends.first, first.end <= .now() {
                let transaction = ends.removeFirst().transaction
                if !transaction.isFinished { expired(transaction) }
            }
            arm()
        }
    }
}
