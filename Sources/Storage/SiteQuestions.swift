import Cluster
import Logging
import Mail
import Maildirs
import SMTP

/// Answers what another site asks of this node's mailboxes. Only what is durable here is said to be here.
struct SiteQuestions {
    let store: MaildirStore
    let log: Logger

    private static let malformed = Verdict.refused(
        Reason(554, "5.6.0", "a question is a digest, or a list of names, a line each"))
    private static let failed = Verdict.deferred(Reason(451, "4.3.0", "the storage node cannot read the mailbox now"))

    /// - Parameter then: told, on any thread, what `SiteAnswer` reads, or why there is no answer.
    func answer(
        _ text: QuestionText, _ content: HopContent, of recipient: DeliveryRecipient,
        then: @escaping @Sendable (Verdict) -> Void
    ) {
        switch content {
        case .digest:
            guard let digest = text.digest else { return then(Self.malformed) }
            store.openDurably(recipient.mailbox, partition: recipient.partition) { result in
                then(verdict(result.map { [$0.digest != digest] }, recipient.mailbox))
            }
        case .offer:
            guard let names = text.names else { return then(Self.malformed) }
            store.lacks(names, in: recipient.mailbox, partition: recipient.partition) { result in
                then(verdict(result, recipient.mailbox))
            }
        case .message, .copy, .tombstone, .hold, .release:
            preconditionFailure("\(content) is no question")
        }
    }

    private func verdict(_ lacks: Result<[Bool], MaildirError>, _ mailbox: MailboxName) -> Verdict {
        switch lacks {
        case .success(let lacks): return SiteAnswer(lacks: lacks).verdict
        case .failure(let error):
            log.error("a site's question is not answered", metadata: ["mailbox": "\(mailbox)", "error": "\(error)"])
            return Self.failed
        }
    }
}
