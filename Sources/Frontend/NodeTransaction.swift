import Mail
import NIOCore
import SMTP

/// One message for the mailboxes of one storage node, from the moment it is handed over until its one answer.
final class NodeTransaction {
    let identity: MessageIdentity
    let sender: ReversePath
    let isUTF8: Bool
    let destinations: [Destination]
    /// With CRLF line ends, `Received:` first.
    private(set) var body: ByteBuffer
    /// The node may have it already under this name: a connection broke after it was sent.
    var isRepeat = false
    /// Called once, when the body is let go.
    var released: () -> Void = {}
    private var finished: (([Verdict]) -> Void)?

    init(
        identity: MessageIdentity, sender: ReversePath, isUTF8: Bool, destinations: [Destination], body: ByteBuffer,
        finished: @escaping ([Verdict]) -> Void
    ) {
        self.identity = identity
        self.sender = sender
        self.isUTF8 = isUTF8
        self.destinations = destinations
        self.body = body
        self.finished = finished
    }

    var isFinished: Bool { finished == nil }

    /// Tells the outcome, the first time; later ones come too late to matter.
    func finish(_ verdicts: [Verdict]) {
        guard let finished else { return }
        self.finished = nil
        body = ByteBuffer()
        released()
        released = {}
        finished(verdicts)
    }

    func finish(_ verdict: Verdict) {
        finish(Array(repeating: verdict, count: destinations.count))
    }

    /// An alias may lead from an ASCII address to one that is not (RFC 6531 §3.4).
    private var needsUTF8: Bool {
        isUTF8 || destinations.contains { !$0.address.description.utf8.allSatisfy { $0 < 0x80 } }
    }

    /// As one connection's session sees it.
    /// - Parameter byteCount: nil for a message that streams.
    func smtp(id: SMTPTransactionID, byteCount: Int?) -> SMTPClientTransaction {
        SMTPClientTransaction(
            id: id, sender: sender,
            recipients: destinations.map { SMTPRecipient(address: $0.address, mailbox: $0.mailbox) },
            byteCount: byteCount, utf8: needsUTF8, name: identity, isRepeat: isRepeat)
    }
}
