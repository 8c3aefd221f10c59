import Cluster
import Mail
import Maildirs
import SMTP
import Synchronization

/// What one LMTP transaction brings to a storage node, while it comes in and until it is kept.
enum NodeArrival {
    case message(MessageWriter)
    case tombstone(TombstoneText)
    /// There is no text: the node has it.
    case hold
    /// There is no text: the node need not keep it for another any more.
    case release
    /// What another site asks. Nothing of it is kept.
    case question(QuestionText)

    func discard() {
        if case .message(let writer) = self { writer.discard() }
    }

    /// Has it kept for each recipient, and tells `then` on a worker what became of it, in their order.
    func commit(
        _ identity: MessageIdentity, for recipients: [DeliveryRecipient], store: MaildirStore,
        then: @escaping @Sendable ([Result<CommitOutcome, MaildirError>]) -> Void
    ) {
        switch self {
        case .message(let writer):
            writer.commit(then: then)
        case .tombstone(let text):
            let tombstone = Tombstone(name: identity, lines: text.lines)
            Self.forEach(recipients, then: then) { recipient, done in
                store.deliver(
                    tombstone, to: recipient.mailbox, partition: recipient.partition, heldFor: recipient.heldFor,
                    sites: recipient.sites, then: { done($0.map { .stored }) })
            }
        case .question:
            preconditionFailure("a question is not kept")
        case .hold:
            Self.forEach(recipients, then: then) { recipient, done in
                guard let target = recipient.heldFor else { preconditionFailure("a hold for nobody") }
                store.hold(
                    identity, of: recipient.mailbox, partition: recipient.partition, for: target,
                    then: { done($0.map { .stored }) })
            }
        case .release:
            Self.forEach(recipients, then: then) { recipient, done in
                guard let target = recipient.heldFor else { preconditionFailure("a release for nobody") }
                store.release(
                    identity, of: recipient.mailbox, partition: recipient.partition, for: target,
                    then: { done($0.map { .alreadyThere }) })
            }
        }
    }

    private typealias Outcome = Result<CommitOutcome, MaildirError>

    private static func forEach(
        _ recipients: [DeliveryRecipient], then: @escaping @Sendable ([Outcome]) -> Void,
        _ body: (DeliveryRecipient, @escaping @Sendable (Outcome) -> Void) -> Void
    ) {
        let gathering = Gathering(count: recipients.count, then: then)
        for (index, recipient) in recipients.enumerated() { body(recipient) { gathering.set($0, at: index) } }
    }
}

/// A tombstone's text while it comes in: short lines, bounded by what a store writes into one.
struct TombstoneText {
    private(set) var lines: [UInt8] = []
    private(set) var isTooLong = false

    private static let bytesMax = 1 << 20

    /// Takes bytes as they came over the wire; on disk lines end with LF.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard lines.count + bytes.count <= Self.bytesMax else { return isTooLong = true }
        lines.append(contentsOf: bytes.lazy.filter { $0 != UInt8(ascii: "\r") })
    }

    /// Whether it is nothing but what tombstones have in their lines.
    var isValid: Bool {
        !isTooLong && !lines.isEmpty
            && lines.split(separator: UInt8(ascii: "\n")).allSatisfy(TombstoneLine.isValid)
    }
}

/// The text of another site's question while it comes in: bounded, because it is short.
struct QuestionText {
    private var bytes: [UInt8] = []
    private var isTooLong = false

    mutating func append(_ text: UnsafeRawBufferPointer) {
        guard bytes.count + text.count <= SiteQuestion.bytesMax else { return isTooLong = true }
        bytes.append(contentsOf: text)
    }

    /// The names that are asked about; nil if it is no list of names.
    var names: [MessageIdentity]? { isTooLong ? nil : SiteQuestion.names(bytes) }

    var digest: MailboxDigest? {
        guard !isTooLong, let text = String(validating: bytes, as: UTF8.self) else { return nil }
        return MailboxDigest(text.split(whereSeparator: \.isNewline).first ?? "")
    }
}

/// Gathers outcomes that come on any thread, and tells them when the last has come.
final class Gathering<Outcome: Sendable>: Sendable {
    private let outcomes: Mutex<(missing: Int, values: [Outcome?])>
    private let then: @Sendable ([Outcome]) -> Void

    init(count: Int, then: @escaping @Sendable ([Outcome]) -> Void) {
        outcomes = Mutex((count, Array(repeating: nil, count: count)))
        self.then = then
        if count == 0 { then([]) }
    }

    func set(_ outcome: Outcome, at index: Int) {
        let all: [Outcome]? = outcomes.withLock { outcomes in
            guard outcomes.values[index] == nil else { return nil }
            outcomes.values[index] = outcome
            outcomes.missing -= 1
            return outcomes.missing == 0 ? outcomes.values.compactMap { $0 } : nil
        }
        if let all { then(all) }
    }
}
