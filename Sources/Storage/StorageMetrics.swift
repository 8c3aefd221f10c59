import Cluster
import Mail
import Metrics

/// What a storage node counts. The names are part of its interface: dashboards hang on them.
struct StorageMetrics: Sendable {
    let lmtpConnections = Counter(label: "lmtp_connections")
    let pop3Connections = Counter(label: "node_pop3_connections")
    let messagesStored = Counter(label: "messages_stored")
    let messagesRetrieved = Counter(label: "messages_retrieved")
    let merges = Counter(label: "merges")
    let messagesMerged = Counter(label: "messages_merged")
    let storeErrors = Counter(label: "store_errors")
    let messagesScrubbed = Counter(label: "messages_scrubbed")
    let damagedCopies = Counter(label: "damaged_copies")
    let damagedCopiesReplaced = Counter(label: "damaged_copies_replaced")
    let damagedCopiesLeft = Counter(label: "damaged_copies_left")
    let messagesRelayed = Counter(label: "messages_relayed")
    let relayDeferrals = Counter(label: "relay_deferrals")
    let relayRefusals = Counter(label: "relay_refusals")
    let bounces = Counter(label: "bounces")
    /// From the end of a message's text to its durable copies.
    let commitTime = Timer(label: "commit_seconds")

    /// Two replicas of a mailbox differed, and were merged.
    func merged(_ merge: Merge) {
        merges.increment()
        messagesMerged.increment(by: merge.messagesCarried)
    }

    /// A relay's server has answered for a message.
    func relayed(_ verdict: Verdict) {
        switch verdict {
        case .accepted: messagesRelayed.increment()
        case .deferred: relayDeferrals.increment()
        case .refused: relayRefusals.increment()
        }
    }
}
