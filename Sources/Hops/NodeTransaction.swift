package import Mail
package import NIOCore
package import SMTP

/// One text for mailboxes of one storage node, from the moment it is handed over until its one answer.
package final class NodeTransaction {
    /// Nil for a server that knows no names.
    package let identity: MessageIdentity?
    let sender: ReversePath
    let isUTF8: Bool
    let recipients: [SMTPRecipient]
    let content: HopContent
    /// Whether the node puts no `Delivered-To:` on top, so that all copies are the same.
    let isAlike: Bool
    /// The sites that it has been at; nil for what is not passed on to sites.
    let sitePath: SitePath?
    /// Octets that there are at least, of a text that streams; nil if nobody knows.
    let size: Int?
    /// With CRLF line ends; empty if the text is large.
    private(set) var body: ByteBuffer
    /// A text that is not in memory. It can be sent once, so what was interrupted behind its beginning is over.
    let large: (any PiecewiseText)?
    /// The node may have it already under this name: a connection broke after it was sent, or others copy it too.
    package var isRepeat = false
    /// How often its text was sent, or a part of it.
    package internal(set) var sends = 0
    /// Called once, if there is no answer for longer than is usual.
    package var lagging: () -> Void = {}
    /// Called if the time for an answer is over: whoever carries it hangs.
    var expired: () -> Void = {}
    /// Called once, when the body is let go.
    var released: () -> Void = {}
    private var finished: (([Verdict]) -> Void)?

    /// - Parameters:
    ///   - size: of a text that streams, for a server that tells how much it takes.
    ///   - large: the text, instead of `body`.
    ///   - finished: told one verdict per recipient, once.
    package init(
        identity: MessageIdentity?, sender: ReversePath = .null, isUTF8: Bool = false, recipients: [SMTPRecipient],
        content: HopContent = .message, isAlike: Bool = false, sitePath: SitePath? = nil, size: Int? = nil,
        body: ByteBuffer = ByteBuffer(), large: (any PiecewiseText)? = nil, finished: @escaping ([Verdict]) -> Void
    ) {
        self.identity = identity
        self.sender = sender
        self.isUTF8 = isUTF8
        self.recipients = recipients
        self.content = content
        self.isAlike = isAlike
        self.sitePath = sitePath
        self.size = size
        self.body = body
        self.large = large
        self.finished = finished
        // What is copied may be there already, whoever brought it.
        isRepeat = content != .message
    }

    package var isFinished: Bool { finished == nil }

    /// Octets of the text.
    var byteCount: Int { large?.byteCount ?? body.readableBytes }

    /// Tells the outcome, the first time; later ones come too late to matter.
    package func finish(_ verdicts: [Verdict]) {
        guard let finished else { return }
        self.finished = nil
        body = ByteBuffer()
        large?.close()
        lagging = {}
        expired = {}
        released()
        released = {}
        finished(verdicts)
    }

    package func finish(_ verdict: Verdict) {
        finish(Array(repeating: verdict, count: recipients.count))
    }

    /// The time for an answer is over.
    func expire() {
        let tell = expired
        finish(.unanswered)
        tell()
    }

    func lag() {
        let tell = lagging
        lagging = {}
        if !isFinished { tell() }
    }

    /// An alias may lead from an ASCII address to one that is not (RFC 6531 §3.4).
    private var needsUTF8: Bool {
        isUTF8 || !recipients.allSatisfy(\.address.isASCII)
    }

    /// As one connection's session sees it.
    /// - Parameter byteCount: nil for a message that streams, unless its size is known.
    func smtp(id: SMTPTransactionID, byteCount: Int?) -> SMTPClientTransaction {
        SMTPClientTransaction(
            id: id, sender: sender, recipients: recipients, byteCount: byteCount, utf8: needsUTF8, name: identity,
            isRepeat: isRepeat, isAlike: isAlike, content: content, sitePath: sitePath, asksFirst: large != nil)
    }
}

extension Verdict {
    /// Nothing was heard of the message: whether the node has it is not known, so its sender must send it again.
    package static let unanswered = Verdict.deferred(
        Reason(451, "4.4.1", "the mailbox's storage node does not answer, try again later"))
}
