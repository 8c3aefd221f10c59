import Glibc

/// A fixed number of named threads that do blocking work, in the order it came.
///
/// Unchecked: everything mutable is touched only with `mutex` held.
final class WorkerPool: @unchecked Sendable {
    typealias Work = @Sendable () -> Void

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// The last piece of some work in pieces is done.
    private let finished = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: [Work?] = []
    private var first = 0
    private var idle = 0
    private var busy = 0
    private var isStopping = false
    private var threads: [pthread_t] = []

    private static let stackBytes = 512 << 10

    init(name: String, threads count: Int) {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
        pthread_cond_init(finished, nil)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, Self.stackBytes)
        for number in 0..<max(1, count) {
            var thread = pthread_t()
            let start = Unmanaged.passRetained(ThreadStart(pool: self, name: "\(name)-\(number)"))
            let code = pthread_create(
                &thread, &attributes,
                { argument in
                    guard let argument else { return nil }
                    let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
                    start.nameThread()
                    start.pool.runUntilStopped()
                    return nil
                }, start.toOpaque())
            precondition(code == 0, "no thread for \(name): errno \(code)")
            threads.append(thread)
        }
        pthread_attr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(finished)
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        finished.deallocate()
        changed.deallocate()
        mutex.deallocate()
    }

    /// Has `work` done on one of the threads. False, and nothing done, once the pool has stopped.
    func submit(_ work: @escaping Work) -> Bool {
        pthread_mutex_lock(mutex)
        // Work in progress may still ask for more while the pool drains.
        let isAccepted = !isStopping || busy > 0
        if isAccepted { waiting.append(work) }
        let hasIdle = idle > 0
        pthread_mutex_unlock(mutex)
        // Woken earlier, a thread would run into the mutex.
        if isAccepted, hasIdle { pthread_cond_signal(changed) }
        return isAccepted
    }

    /// Does `work` on one of the threads, or here if there are none any more.
    func submitOrRun(_ work: @escaping Work) {
        if !submit(work) { work() }
    }

    /// Calls `body` for all of `0..<count`, some at a time, here and on those of the threads that have nothing else to do; all
    /// is done when it returns. One of the threads may call it: it waits for no work that nobody has begun.
    func spread(_ count: Int, pieceMax: Int, _ body: @escaping @Sendable (Range<Int>) -> Void) {
        let work = WorkInPieces(count: count, pieceMax: pieceMax, body: body)
        doPieces(of: work)
        pthread_mutex_lock(mutex)
        while work.underWay > 0 { pthread_cond_wait(finished, mutex) }
        pthread_mutex_unlock(mutex)
    }

    /// Whoever takes a piece calls one more thread, so that all that are idle soon take part.
    private func doPieces(of work: WorkInPieces) {
        pthread_mutex_lock(mutex)
        while let piece = work.next() {
            work.underWay += 1
            let hasHelper = !work.isTaken && idle > waiting.count - first
            if hasHelper { waiting.append { [self] in doPieces(of: work) } }
            pthread_mutex_unlock(mutex)
            if hasHelper { pthread_cond_signal(changed) }
            work.body(piece)
            pthread_mutex_lock(mutex)
            work.underWay -= 1
        }
        if work.underWay == 0 { pthread_cond_broadcast(finished) }
        pthread_mutex_unlock(mutex)
    }

    /// Has the threads end when everything that was submitted is done, without waiting for that.
    func stop() {
        for thread in takeThreads() { pthread_detach(thread) }
    }

    /// Waits until everything that was submitted is done, and ends the threads. Not to be called from one of them.
    func shutdown() {
        for thread in takeThreads() { pthread_join(thread, nil) }
    }

    private func takeThreads() -> [pthread_t] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        isStopping = true
        let ending = threads
        threads = []
        pthread_cond_broadcast(changed)
        return ending
    }

    private func runUntilStopped() {
        pthread_mutex_lock(mutex)
        var work = next()
        while work != nil {
            busy += 1
            pthread_mutex_unlock(mutex)
            Self.perform(&work)
            pthread_mutex_lock(mutex)
            busy -= 1
            work = next()
        }
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    /// Lets go of the work too: what it held may submit more when it ends, and that takes the mutex.
    private static func perform(_ work: inout Work?) {
        work?()
        work = nil
    }

    /// The next piece of work, or nil when the pool stops and no other thread can bring more. `mutex` is held.
    private func next() -> Work? {
        while first == waiting.count {
            if isStopping && busy == 0 { return nil }
            idle += 1
            pthread_cond_wait(changed, mutex)
            idle -= 1
        }
        let work = waiting[first]
        waiting[first] = nil
        first += 1
        if first == waiting.count {
            waiting.removeAll(keepingCapacity: first <= 1024)
            first = 0
        } else if first > 1024 && first * 2 > waiting.count {
            waiting.removeFirst(first)
            first = 0
        }
        return work
    }
}

/// Work that several threads share. Its state is touched only with the pool's mutex held.
private final class WorkInPieces: @unchecked Sendable {
    let body: @Sendable (Range<Int>) -> Void
    private let count: Int
    private let pieceMax: Int
    private var taken = 0
    var underWay = 0

    init(count: Int, pieceMax: Int, body: @escaping @Sendable (Range<Int>) -> Void) {
        self.count = count
        self.pieceMax = pieceMax
        self.body = body
    }

    var isTaken: Bool { taken == count }

    func next() -> Range<Int>? {
        guard !isTaken else { return nil }
        let piece = taken..<min(count, taken + pieceMax)
        taken = piece.upperBound
        return piece
    }
}

/// What a new thread is told.
private final class ThreadStart: Sendable {
    let pool: WorkerPool
    let name: String

    init(pool: WorkerPool, name: String) {
        self.pool = pool
        self.name = name
    }

    /// Linux takes the first 15 bytes; `top -H` and debuggers show them.
    func nameThread() {
        guard let file = try? OpenFile.open("/proc/thread-self/comm", flags: O_WRONLY) else { return }
        Array(name.utf8.prefix(15)).withUnsafeBytes { bytes in try? file.write(bytes, name: name) }
    }
}
