import Cluster
import Synchronization

/// How full the spools for other sites are that have a bound.
final class SpoolGauges: Sendable {
    private let gauges: Mutex<[SpoolTarget: SpoolGauge]>
    /// Whether there is any bound: looking after the others costs nothing.
    private let isBounded: Bool

    /// - Parameter bounds: those that are not positive are none.
    init(_ bounds: [SpoolTarget: Int]) {
        let gauges = bounds.filter { $0.value > 0 }.mapValues { SpoolGauge(max: $0) }
        isBounded = !gauges.isEmpty
        self.gauges = Mutex(gauges)
    }

    subscript(site: SpoolTarget) -> SpoolGauge? { gauges.withLock { $0[site] } }

    /// So many files came into a mailbox's spool, or went if it is negative.
    func changed(_ folder: MailboxFolder, by change: Int) {
        guard isBounded, change != 0, let target = folder.target else { return }
        gauges.withLock { $0[target]?.changed(by: change, at: Self.place(of: folder)) }
    }

    func isFull(_ folder: MailboxFolder) -> Bool {
        guard isBounded, let target = folder.target else { return false }
        return self[target]?.level == .full
    }

    func walkBegan(_ target: SpoolTarget) { gauges.withLock { $0[target]?.walkBegan() } }

    func counted(_ count: Int, in folder: MailboxFolder, for target: SpoolTarget) {
        gauges.withLock { $0[target]?.counted(count, at: Self.place(of: folder)) }
    }

    func walkEnded(_ target: SpoolTarget) { gauges.withLock { $0[target]?.walkEnded() } }

    /// Compares as `StoreWalk` goes: component by component.
    private static func place(of folder: MailboxFolder) -> String { folder.path.replacing("/", with: "\u{0}") }
}
