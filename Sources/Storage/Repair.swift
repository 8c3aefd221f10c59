import Cluster
import Logging
import Mail
import Maildirs

/// Compares this node's mailboxes with their other owners', one after the other and without haste, and merges where
/// they differ: what was forgotten when too many nodes were away is found here.
struct Repair {
    let replicator: Replicator

    private static let interval = Duration.seconds(24 * 3600)
    private static let mailboxesPerStep = 64
    /// About 50 mailboxes a second.
    private static let pause = Duration.milliseconds(20)

    /// Runs until it is cancelled: once after the start, then once a day.
    func run() async {
        guard replicator.ring.replicas > 1 else { return }
        while !Task.isCancelled {
            await walk()
            try? await Task.sleep(for: Self.interval)
        }
    }

    private func walk() async {
        var last: MailboxKey?
        var compared = 0
        var merged = 0
        while !Task.isCancelled,
            let keys = try? await replicator.store.mailboxes(after: last, count: Self.mailboxesPerStep), !keys.isEmpty
        {
            for key in keys {
                guard !Task.isCancelled else { return }
                if await replicator.repair(key.mailbox) { merged += 1 }
                compared += 1
                try? await Task.sleep(for: Self.pause)
            }
            last = keys.last
        }
        replicator.log.info("repaired", metadata: ["mailboxes": "\(compared)", "merged": "\(merged)"])
    }
}
