import Synchronization

/// Gives each seed to one worker.
final class SeedSource: Sendable {
    private let rest: Mutex<Range<UInt64>>

    init(_ seeds: Range<UInt64>) { rest = Mutex(seeds) }

    func next() -> UInt64? { rest.withLock { $0.popFirst() } }
}
