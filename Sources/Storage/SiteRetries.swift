import Maildirs

/// The mailboxes of which something waits on for a site: when each is tried again. Times are of one clock that does not jump.
struct SiteRetries {
    /// What became of a mailbox.
    enum Outcome {
        /// Nothing of it waits on.
        case done
        case deferred
        /// The site refuses some of it: it may have no such account yet.
        case refused
    }

    private struct Entry {
        var next: ContinuousClock.Instant
        var refusals = 0
        /// When something of it was first left, in seconds since 1970.
        let since: Int64
    }

    private var entries: [MailboxKey: Entry] = [:]

    private static let delay = Duration.seconds(2)
    private static let delayMax = Duration.seconds(300)

    /// Since when something of the mailbox waits, as far as this process knows.
    func since(_ key: MailboxKey) -> Int64? { entries[key]?.since }

    func isWaiting(_ key: MailboxKey, _ now: ContinuousClock.Instant) -> Bool {
        entries[key].map { $0.next > now } ?? false
    }

    func due(_ now: ContinuousClock.Instant) -> Set<MailboxKey> { Set(entries.filter { $0.value.next <= now }.keys) }

    /// - Parameter seconds: since 1970.
    mutating func note(_ outcome: Outcome, of key: MailboxKey, _ now: ContinuousClock.Instant, seconds: Int64) {
        guard outcome != .done else {
            entries[key] = nil
            return
        }
        // What does not fit is found by the next walk.
        guard entries[key] != nil || entries.count < Replicator.spooledMax else { return }
        var entry = entries[key] ?? Entry(next: now, since: seconds)
        entry.refusals = outcome == .refused ? entry.refusals + 1 : 0
        entry.next = now + min(Self.delay * (1 << min(entry.refusals, 10)), Self.delayMax)
        entries[key] = entry
    }
}
