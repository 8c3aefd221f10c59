package import Mail
import Synchronization

/// What became of one recipient's copy. Both mean: a copy is durable in the mailbox, or its reader has deleted it already.
package enum CommitOutcome: String, Hashable, Sendable {
    /// Written now.
    case stored
    /// The identity was there, or is tombstoned: nothing was written.
    case alreadyThere
}

/// A mailbox that a message goes to, and the lines that stand before the message there.
package struct DeliveryRecipient: Sendable {
    package let mailbox: MailboxName
    package let partition: Int
    /// `Return-Path:` and perhaps `Delivered-To:`, each ended by LF; nothing for a copy that has them already.
    package let header: [UInt8]
    /// The node that the copy is kept for; nil if this node is an owner of the mailbox.
    package let heldFor: SpoolTarget?
    /// The sites that are to have it too.
    package let sites: SiteSpools
    /// Whether it is a queue of messages for others, so that the same text for two of them is two messages.
    let isQueued: Bool

    package init(
        mailbox: MailboxName, partition: Int, header: [UInt8], heldFor: SpoolTarget? = nil,
        sites: SiteSpools = SiteSpools()
    ) {
        self.mailbox = mailbox
        self.partition = partition
        self.header = header
        self.heldFor = heldFor
        self.sites = sites
        isQueued = RelayQueue(mailbox) != nil
    }

    var folder: MailboxFolder { MailboxFolder(mailbox, partition: partition, heldFor: heldFor) }

    /// Whether a message's copy for this recipient is the other one's, byte for byte. What waits in a queue is sent on and
    /// counted a message at a time.
    func isAlike(_ other: DeliveryRecipient) -> Bool { !isQueued && !other.isQueued && header == other.header }
}

/// Gathers the outcomes of one message's recipients, and tells them when the last is known.
final class CommitOutcomes: Sendable {
    typealias Outcome = Result<CommitOutcome, MaildirError>

    private struct State {
        var remaining: Int
        var outcomes: [Outcome]
    }

    private let state: Mutex<State>
    private let then: @Sendable ([Outcome]) -> Void

    init(count: Int, then: @escaping @Sendable ([Outcome]) -> Void) {
        state = Mutex(State(remaining: count, outcomes: Array(repeating: .failure(.shutDown), count: count)))
        self.then = then
    }

    func set(_ outcome: Outcome, at index: Int) {
        let all: [Outcome]? = state.withLock { state in
            state.outcomes[index] = outcome
            state.remaining -= 1
            return state.remaining == 0 ? state.outcomes : nil
        }
        if let all { then(all) }
    }
}
