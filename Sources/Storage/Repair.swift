import Cluster
import Glibc
import Logging
import Mail
import Maildirs
import Membership
import POP3
import Synchronization

/// Compares this node's partitions with their other owners', and merges where they differ: what was forgotten when too
/// many nodes were away is found here.
///
/// Digests are compared by partition first, then by mailbox, then by name, so that equal copies cost next to nothing. That
/// is also why a repair that was broken off simply begins again.
final class Repair: Sendable {
    /// What came of it.
    struct Outcome: Sendable {
        var mailboxes = 0
        var merged = 0
        /// Mailboxes that could not be compared or made equal.
        var failed = 0

        static func += (left: inout Outcome, right: Outcome) {
            left.mailboxes += right.mailboxes
            left.merged += right.merged
            left.failed += right.failed
        }

        mutating func add(_ outcomes: [Replicator.Convergence]) {
            mailboxes += 1
            if outcomes.contains(.merged) { merged += 1 }
            if outcomes.contains(where: { $0 != .equal && $0 != .merged }) { failed += 1 }
        }
    }

    /// How far the daily round is.
    struct Progress: Sendable {
        var partitions = 0
        var done = 0
    }

    private let replicator: Replicator
    private let state = Mutex(Progress())
    /// When the last comparison of a partition began after which all its owners had the same, in seconds since 1970.
    private let compared = Mutex<[Int: Int64]>([:])

    private static let interval = Duration.seconds(24 * 3600)
    /// How soon what could not be compared is tried again, at first and later on: at a start other nodes may be starting too.
    private static let retryDelay = Duration.seconds(10)
    private static let retryDelayMax = Duration.seconds(3600)
    private static let pause = Duration.milliseconds(20)

    init(replicator: Replicator) { self.replicator = replicator }

    var progress: Progress { state.withLock { $0 } }

    /// Since when, in seconds since 1970, all owners of this node's partitions have the same, but for what is newer; nil if one
    /// of the partitions was never compared with all of them. Where there are no others, there is nothing to compare.
    var comparedSince: Int64? {
        let peers = replicator.peers
        guard peers.map.ring.replicas > 1 else { return .max }
        let known = compared.withLock { $0 }
        let since = Self.own(peers).map { known[$0] }
        return since.contains(nil) ? nil : since.compactMap { $0 }.min() ?? .max
    }

    private static func own(_ peers: ReplicaPeers) -> [Int] {
        (0..<peers.map.ring.partitions).filter(peers.owns)
    }

    /// Runs until it is cancelled: once after the start, then once a day.
    func run() async {
        var retry = Self.retryDelay
        while !Task.isCancelled {
            let isWhole = replicator.peers.map.ring.replicas > 1 ? await round() : true
            try? await Task.sleep(for: isWhole ? Self.interval : retry)
            retry = isWhole ? Self.retryDelay : min(retry * 2, Self.retryDelayMax)
        }
    }

    /// Compares what was not compared lately. Whether all of that went well.
    private func round() async -> Bool {
        let peers = replicator.peers
        let late = Int64(time(nil)) - Self.interval.components.seconds / 2
        let known = compared.withLock { $0 }
        let due = Self.own(peers).filter { known[$0] ?? .min < late }
        state.withLock { $0 = Progress(partitions: due.count) }
        var outcome = Outcome()
        for partition in due {
            guard !Task.isCancelled else { return false }
            outcome += await repair(partition: partition)
            state.withLock { $0.done += 1 }
            try? await Task.sleep(for: Self.pause)
        }
        replicator.log.info(
            "repaired",
            metadata: [
                "mailboxes": "\(outcome.mailboxes)", "merged": "\(outcome.merged)", "failed": "\(outcome.failed)",
            ])
        return outcome.failed == 0
    }

    func repair(_ scope: RepairScope) async -> Outcome {
        switch scope {
        case .partition(let partition): return await repair(partition: partition)
        case .mailbox(let mailbox):
            var outcome = Outcome()
            outcome.add(await replicator.repair(mailbox))
            return outcome
        }
    }

    private func repair(partition: Int) async -> Outcome {
        let peers = replicator.peers
        guard partition < peers.map.ring.partitions else { return Outcome() }
        let begun = Int64(time(nil))
        var outcome = Outcome()
        let (ours, unread) = await digests(ofPartition: partition)
        var differing: Set<MailboxName> = []
        outcome.mailboxes = ours.count
        outcome.failed = unread
        for node in peers.map.ring.owners(ofPartition: partition) where node != peers.own {
            do {
                let theirs = try await peers.mailboxes(ofPartition: partition, at: node, unless: PartitionDigest(ours))
                guard let theirs else { continue }
                for mailbox in Set(ours.keys).union(theirs.keys) where ours[mailbox] != theirs[mailbox] {
                    differing.insert(mailbox)
                }
            } catch {
                outcome.failed += 1
            }
        }
        for mailbox in differing.sorted(by: { $0.description < $1.description }) {
            var merged = Outcome()
            merged.add(await replicator.repair(mailbox))
            outcome.merged += merged.merged
            outcome.failed += merged.failed
            try? await Task.sleep(for: Self.pause)
        }
        if outcome.failed == 0, replicator.peers === peers { compared.withLock { $0[partition] = begun } }
        return outcome
    }

    /// The mailboxes of a partition that have anything here, what each comes to, and how many times something could not be
    /// read: the others are compared all the same.
    func digests(ofPartition partition: Int) async -> (digests: [MailboxName: MailboxDigest], unread: Int) {
        var digests: [MailboxName: MailboxDigest] = [:]
        var unread = 0
        func note(_ error: MaildirError) {
            unread += 1
            if error == .shutDown { return }
            replicator.log.error("repair", metadata: ["partition": "\(partition)", "reason": "\(error)"])
        }
        var pages = replicator.store.pages(ofPartition: partition)
        while let page = await pages.next() {
            if let failure = page.failure { note(failure) }
            for key in page.keys {
                do throws(MaildirError) {
                    let digest = try await replicator.store.snapshot(of: key).digest
                    if !digest.isEmpty { digests[key.mailbox] = digest }
                } catch {
                    note(error)
                }
            }
        }
        return (digests, unread)
    }
}
