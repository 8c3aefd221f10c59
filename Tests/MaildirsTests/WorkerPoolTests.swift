import Foundation
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
}
