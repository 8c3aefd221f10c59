import Foundation
import Synchronization

/// Threads for slow key derivations: a bounded number at once and a bounded number waiting, so that a flood of log-ins
/// costs those who log in, and not the look-ups of mail.
///
/// A thread lives as long as work waits; a key derivation costs a thousand times what a thread does.
package final class PasswordPool: Sendable {
    private struct State {
        var running = 0
        var waiting: [@Sendable () -> Void] = []
        var first = 0
    }

    private let threads: Int
    private let queueMax: Int
    private let state = Mutex(State())

    package init(threads: Int, queueMax: Int) {
        self.threads = max(1, threads)
        self.queueMax = max(0, queueMax)
    }

    /// Runs `work` on one of the threads. Throws at once if too many wait already.
    package func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async throws(DirectoryError) -> Value {
        let value = await withCheckedContinuation { (continuation: CheckedContinuation<Value?, Never>) in
            let isTaken = submit { continuation.resume(returning: work()) }
            if !isTaken { continuation.resume(returning: nil) }
        }
        guard let value else { throw .unavailable("\(queueMax) log-ins wait for their password check already") }
        return value
    }

    private func submit(_ job: @escaping @Sendable () -> Void) -> Bool {
        let (isTaken, needsThread) = state.withLock { state in
            guard state.running == threads else {
                state.running += 1
                return (true, true)
            }
            guard state.waiting.count - state.first < queueMax else { return (false, false) }
            state.waiting.append(job)
            return (true, false)
        }
        if needsThread {
            Thread.detachNewThread {
                job()
                while let next = self.next() { next() }
            }
        }
        return isTaken
    }

    /// The next job in order of arrival; nil ends the thread.
    private func next() -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard state.first < state.waiting.count else {
                state.running -= 1
                state.waiting = []
                state.first = 0
                return nil
            }
            let job = state.waiting[state.first]
            state.first += 1
            if state.first >= 64 {
                state.waiting.removeFirst(state.first)
                state.first = 0
            }
            return job
        }
    }
}
