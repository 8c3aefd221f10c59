import NIOCore
import NIOPosix

/// One event loop's part of a run.
protocol LoadLoop: AnyObject {
    /// Called once, on the loop. The place's `finished` says the end.
    func start()
}

/// Where a `LoadLoop` works, and which share is its own.
struct LoadPlace: Sendable {
    let eventLoop: any EventLoop
    let share: Int
    let shares: Int
    let connections: Int
    let finished: EventLoopPromise<Void>
}

/// Spreads a run over event loops of its own, and waits for all of them.
enum LoadLoops {
    static func run(
        amount: LoadAmount, make: @escaping @Sendable (LoadPlace) -> any LoadLoop
    ) async throws {
        let threads = max(1, min(amount.threads, amount.connections))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        var ends: [EventLoopFuture<Void>] = []
        for (share, eventLoop) in group.makeIterator().enumerated() {
            let connections = (amount.connections + threads - 1 - share) / threads
            let place = LoadPlace(
                eventLoop: eventLoop, share: share, shares: threads, connections: connections,
                finished: eventLoop.makePromise())
            ends.append(place.finished.futureResult)
            eventLoop.execute { start(make(place), place) }
        }
        for end in ends { try await end.get() }
        try await group.shutdownGracefully()
    }

    /// Keeps the part alive until it is done.
    private static func start(_ loop: any LoadLoop, _ place: LoadPlace) {
        place.eventLoop.preconditionInEventLoop()
        let bound = NIOLoopBound(loop, eventLoop: place.eventLoop)
        place.finished.futureResult.whenComplete { _ in _ = bound.value }
        loop.start()
    }
}

/// Calls back when the next message or session is due: once, however often it was asked to meanwhile. What is due next does
/// not change until it has begun, so that one wait stands for all.
final class DueTimer {
    private let eventLoop: any EventLoop
    private var isSet = false

    /// - Parameter eventLoop: the one that all calls come from.
    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func set(for deadline: NIODeadline, then act: @escaping () -> Void) {
        guard !isSet else { return }
        isSet = true
        let bound = NIOLoopBound((timer: self, act: act), eventLoop: eventLoop)
        eventLoop.scheduleTask(deadline: deadline) {
            bound.value.timer.isSet = false
            bound.value.act()
        }
    }
}
