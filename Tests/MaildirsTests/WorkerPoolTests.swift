import Foundation
import Glibc
import Synchronization
import Testing

@testable import Maildirs

/// The store's own threads.
@Suite struct WorkerPoolTests {
    /// Has something done on the pool when nobody needs it any more, as a spilled message does.
    private final class Remains: Sendable {
        private let pool: WorkerPool
        private let done: DispatchSemaphore

        init(_ pool: WorkerPool, _ done: DispatchSemaphore) {
            self.pool = pool
            self.done = done
        }

        deinit { pool.submitOrRun { [done] in done.signal() } }

        func touch() {}
    }

    @Test("What work held may submit more work when it is let go of")
    func submittingRemains() async throws {
        let pool = WorkerPool(name: "test", threads: 1)
        let (gate, done) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        func submit() {
            let remains = Remains(pool, done)
            _ = pool.submit {
                gate.wait()
                remains.touch()
            }
        }
        submit()
        gate.signal()
        let outcome = await withCheckedContinuation { (waiting: CheckedContinuation<DispatchTimeoutResult, Never>) in
            DispatchQueue.global().async { waiting.resume(returning: done.wait(timeout: .now() + 30)) }
        }
        try #require(outcome == .success)
        pool.stop()
    }

    @Test("Work in pieces is done once, by the thread that has it and by all that are idle")
    func pieces() async throws {
        let pool = WorkerPool(name: "test", threads: 3)
        let times = Mutex([Int](repeating: 0, count: 10_000))
        let threads = Mutex<Set<pthread_t>>([])
        await withCheckedContinuation { (waiting: CheckedContinuation<Void, Never>) in
            _ = pool.submit {
                pool.spread(10_000, pieceMax: 7) { piece in
                    let taking = threads.withLock {
                        $0.insert(pthread_self())
                        return $0.count
                    }
                    // Threads that have only begun take part as soon as they are idle.
                    if taking < 3 { usleep(5000) }
                    times.withLock { for index in piece { $0[index] += 1 } }
                }
                waiting.resume()
            }
        }
        #expect(times.withLock { $0 } == [Int](repeating: 1, count: 10_000))
        #expect(threads.withLock(\.count) == 3)
        pool.stop()
    }

    @Test("Nobody waits for help that does not come")
    func piecesAlone() async throws {
        let pool = WorkerPool(name: "test", threads: 2)
        let gate = DispatchSemaphore(value: 0)
        let done = Mutex(0)
        _ = pool.submit { gate.wait() }
        await withCheckedContinuation { (waiting: CheckedContinuation<Void, Never>) in
            _ = pool.submit {
                pool.spread(100, pieceMax: 10) { piece in done.withLock { $0 += piece.count } }
                pool.spread(0, pieceMax: 10) { _ in done.withLock { $0 += 1000 } }
                waiting.resume()
            }
        }
        #expect(done.withLock { $0 } == 100)
        gate.signal()
        pool.shutdown()
    }
}
