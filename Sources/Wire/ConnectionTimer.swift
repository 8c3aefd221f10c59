import NIOCore

/// The idle and the total clock of one connection, on one scheduled task: progress only notes the time, and the task
/// looks again when it fires.
struct ConnectionTimer {
    var lastProgress: NIODeadline = .now()
    private var idle: TimeAmount?
    private var end: NIODeadline?
    private var task: Scheduled<Void>?
    /// When the task looks.
    private var planned: NIODeadline?

    mutating func set(_ times: ConnectionTimes, connection: Connection) {
        lastProgress = .now()
        idle = times.idle > .zero ? TimeAmount(times.idle) : nil
        end = times.total > .zero ? .now() + TimeAmount(times.total) : nil
        schedule(connection)
    }

    mutating func cancel() {
        task?.cancel()
        task = nil
        planned = nil
    }

    /// A task that looks early enough is left as it is.
    private mutating func schedule(_ connection: Connection) {
        guard let next = nextDeadline, planned.map({ next < $0 }) ?? true else { return }
        task?.cancel()
        planned = next
        let bound = NIOLoopBound(Weak(connection), eventLoop: connection.eventLoop)
        task = connection.eventLoop.scheduleTask(deadline: next) {
            bound.value.connection?.timerFired()
        }
    }

    private var nextDeadline: NIODeadline? {
        let idleEnd = idle.map { lastProgress + $0 }
        guard let idleEnd, let end else { return idleEnd ?? end }
        return min(idleEnd, end)
    }

    /// Which clock has run out by now; otherwise the task is set anew.
    mutating func fired(_ connection: Connection) -> ConnectionTimeout? {
        planned = nil
        let now = NIODeadline.now()
        if let end, end <= now { return .total }
        if let idle, lastProgress + idle <= now {
            // A conversation that does not end itself is asked again.
            lastProgress = now
            schedule(connection)
            return .idle
        }
        schedule(connection)
        return nil
    }

    private final class Weak {
        weak var connection: Connection?
        init(_ connection: Connection) { self.connection = connection }
    }
}
