import Bounces
import Glibc
import Mail
import Maildirs
import NIOCore
import SMTP

/// A message on its way out: its envelope, which stands at the top of its file, and its text as it came.
struct RelayMessage: Sendable {
    let sender: ReversePath
    let recipient: EmailAddress
    /// With CRLF line ends.
    let text: ByteBuffer

    init(sender: ReversePath, recipient: EmailAddress, text: ByteBuffer) {
        self.sender = sender
        self.recipient = recipient
        self.text = text
    }

    init(_ notice: BounceMessage) {
        self.init(sender: notice.sender, recipient: notice.recipient, text: ByteBuffer(bytes: notice.bytes))
    }

    /// Whether it cannot be told to a server without SMTPUTF8 (RFC 6531).
    var needsUTF8: Bool { !sender.isASCII || !recipient.isASCII }

    /// Nil if the file does not begin with an envelope.
    ///
    /// - Throws: `MaildirError`; what is damaged is not read to its end.
    static func read(_ reader: MessageReader) async throws(MaildirError) -> RelayMessage? {
        let head = try await reader.next()
        guard let envelope = QueuedEnvelope(head) else { return nil }
        var (copy, text, octets) = (CopyText(), ByteBuffer(), head.count)
        text.reserveCapacity(reader.size + reader.size / 32)
        copy.append(Array(head[envelope.byteCount...]), to: &text)
        while octets < reader.size {
            let piece = try await reader.next()
            if piece.isEmpty { throw .failed(operation: "read to its end", path: "a message", errno: EIO) }
            octets += piece.count
            copy.append(piece, to: &text)
        }
        return RelayMessage(sender: envelope.sender, recipient: envelope.recipient, text: text)
    }
}
