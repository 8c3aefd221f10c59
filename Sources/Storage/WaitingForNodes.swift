import Maildirs
import Synchronization

/// Looks at what waits on this node for other nodes.
final class WaitingForNodes: Sendable {
    struct Count: Sendable {
        /// Mailboxes in which something waits.
        var mailboxes = 0
        /// Whether there may be more.
        var isPart = false
        /// When the oldest of it was made, in seconds since 1970: nil if nothing waits, 0 if not all of it was looked at.
        var oldest: Int64?

        /// Something that could not be looked at.
        mutating func addUnknown() { (isPart, oldest) = (true, 0) }
    }

    private let store: MaildirStore
    private let last = Mutex<(count: Count, at: ContinuousClock.Instant)?>(nil)

    /// Who asks waits, and so does what he asks behind it; after an outage there may be a mailbox of each user.
    private static let timeMax = Duration.milliseconds(200)
    /// How long an answer serves who asks next. That nothing waits is looked at anew each time.
    private static let lifetime = Duration.seconds(1)

    init(store: MaildirStore) { self.store = store }

    /// Counting stops after a while.
    func look() async -> Count {
        let begun = ContinuousClock.now
        if let (count, time) = last.withLock({ $0 }), begun - time < Self.lifetime { return count }
        var count = await count(until: begun + Self.timeMax)
        if count.isPart { count.mailboxes = max(count.mailboxes, 1) }
        last.withLock { $0 = count.mailboxes > 0 ? (count, .now) : nil }
        return count
    }

    private func count(until end: ContinuousClock.Instant) async -> Count {
        var count = Count()
        guard let targets = try? await store.targets() else {
            count.addUnknown()
            return count
        }
        for target in targets {
            var pages = store.pages(heldFor: target)
            while let page = await pages.next() {
                if page.failure != nil { count.addUnknown() }
                for key in page.keys {
                    let held = try? await store.snapshot(of: key, heldFor: target)
                    guard held.map({ !$0.isEmpty }) ?? true else { continue }
                    count.mailboxes += 1
                    count.oldest = min(count.oldest ?? .max, held?.oldest ?? 0)
                }
                if page.last != nil, ContinuousClock.now >= end {
                    count.addUnknown()
                    return count
                }
            }
        }
        return count
    }
}
