import Bounces
import Glibc
import Mail
import Maildirs
import NIOCore
import SMTP

/// A message on its way out: its envelope, which stands at the top of its file, and its text as it came.
struct RelayMessage: Sendable {
    /// With CRLF line ends.
    enum Text: Sendable {
        case whole(ByteBuffer)
        case large(LargeText)

        var byteCount: Int {
            switch self {
            case .whole(let text): text.readableBytes
            case .large(let text): text.byteCount
            }
        }
    }

    let sender: ReversePath
    let recipient: EmailAddress
    let text: Text

    init(sender: ReversePath, recipient: EmailAddress, text: Text) {
        self.sender = sender
        self.recipient = recipient
        self.text = text
    }

    init(_ notice: BounceMessage) {
        self.init(sender: notice.sender, recipient: notice.recipient, text: .whole(ByteBuffer(bytes: notice.bytes)))
    }

    /// Whether it cannot be told to a server without SMTPUTF8 (RFC 6531).
    var needsUTF8: Bool { !sender.isASCII || !recipient.isASCII }

    /// Lets go of what it is read from.
    func close() {
        if case .large(let text) = text { text.close() }
    }

    /// Nil if the file does not begin with an envelope. A large one is read to its end here too: it is measured by that, and
    /// nothing goes out of what is damaged.
    ///
    /// - Parameter again: gives another reader of the same file, for a text that is too large to be kept.
    static func read(
        _ reader: MessageReader, again: () async throws(MaildirError) -> MessageReader?
    ) async throws(MaildirError) -> RelayMessage? {
        guard let queued = try await QueuedText(reader, keeping: CopyText.wholeBytesMax) else { return nil }
        if queued.isWhole {
            return RelayMessage(sender: queued.sender, recipient: queued.recipient, text: .whole(queued.beginning))
        }
        guard let second = try await again(), second.size == reader.size else {
            throw .failed(operation: "read once more", path: "a message", errno: ENOENT)
        }
        return RelayMessage(
            sender: queued.sender, recipient: queued.recipient,
            text: .large(LargeText(second, below: queued.envelopeBytes, byteCount: queued.byteCount)))
    }
}

/// What one reading of a queued message's file tells.
struct QueuedText: Sendable {
    let sender: ReversePath
    let recipient: EmailAddress
    /// Octets of the file above the text.
    let envelopeBytes: Int
    /// Of the text, with CRLF line ends.
    private(set) var beginning = ByteBuffer()
    /// Octets of the whole text, with CRLF line ends.
    private(set) var byteCount = 0

    var isWhole: Bool { beginning.readableBytes == byteCount }

    /// Nil if the file does not begin with an envelope.
    ///
    /// - Parameter bytesMax: octets of the beginning.
    /// - Throws: `MaildirError`; what is damaged is not read to its end.
    init?(_ reader: MessageReader, keeping bytesMax: Int) async throws(MaildirError) {
        let head = try await reader.next()
        guard let envelope = QueuedEnvelope(head) else { return nil }
        (sender, recipient, envelopeBytes) = (envelope.sender, envelope.recipient, envelope.byteCount)
        beginning.reserveCapacity(min(reader.size + reader.size / 32, bytesMax))
        var (copy, octets) = (CopyText(), head.count)
        take(Array(head[envelope.byteCount...]), &copy, bytesMax)
        while octets < reader.size {
            let piece = try await reader.next()
            if piece.isEmpty { throw .failed(operation: "read to its end", path: "a message", errno: EIO) }
            octets += piece.count
            take(piece, &copy, bytesMax)
        }
    }

    private mutating func take(_ piece: [UInt8], _ copy: inout CopyText, _ bytesMax: Int) {
        var text = ByteBuffer()
        copy.append(piece, to: &text)
        byteCount += text.readableBytes
        let room = min(text.readableBytes, bytesMax - beginning.readableBytes)
        if let kept = text.readSlice(length: max(0, room)) { beginning.writeImmutableBuffer(kept) }
    }
}
