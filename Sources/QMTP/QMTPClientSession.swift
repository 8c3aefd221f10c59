/// One QMTP conversation as the client sees it: what to write around each message, and whose answer a reply is.
///
/// Messages may be sent ahead of the replies to earlier ones; replies come in their order, one per recipient.
package struct QMTPClientSession: Sendable {
    /// What to write before and behind the text of a message.
    package struct Frame: Equatable, Sendable {
        package let head: [UInt8]
        package let tail: [UInt8]
    }

    package enum Event: Equatable, Sendable {
        /// Nothing more to tell until more bytes come.
        case needBytes
        /// One reply per recipient of the oldest message that had none, in order.
        case replies([QMTPReply])
        /// The server does not speak QMTP. The connection is to be closed; what has no reply was not accepted.
        case violation(QMTPViolation)
    }

    package struct Step: Equatable, Sendable {
        /// How many of the unread bytes are done with.
        package let consumed: Int
        package let event: Event
    }

    /// Octets of a reply; what goes beyond `QMTPReply.textBytesMax` is read past.
    private static let replyBytesMax = 1 << 20

    private enum Phase {
        case length, kind, text, comma, broken
    }

    private var phase = Phase.length
    private var length = NetstringLength()
    private var remaining = 0
    private var kind = QMTPReply.Kind.deferred
    private var text: [UInt8] = []
    private var replies: [QMTPReply] = []
    /// The number of recipients of each message that has not all its replies.
    private var waiting: [Int] = []

    package init() {}

    /// Messages that have not all their replies.
    package var unanswered: Int { waiting.count }

    /// Announces a message: it is to be written whole between the frame's two parts.
    ///
    /// - Parameters:
    ///   - byteCount: octets of the text, as it is written.
    ///   - recipients: at least one.
    package mutating func begin(
        sender: [UInt8], recipients: [[UInt8]], byteCount: Int, lineEnds: LineEnds
    ) -> Frame {
        precondition(!recipients.isEmpty && byteCount >= 0, "a message of \(byteCount) octets for nobody")
        waiting.append(recipients.count)
        let inner = recipients.flatMap { Netstring.encode($0) }
        return Frame(
            head: Netstring.head(byteCount + 1) + [lineEnds.mark],
            tail: [Byte.comma] + Netstring.encode(sender) + Netstring.encode(inner))
    }

    /// Tells the next event in the unread bytes.
    package mutating func receive(_ unread: UnsafeRawBufferPointer) -> Step {
        var at = 0
        do throws(QMTPViolation) {
            while at < unread.count {
                if let event = try take(unread, &at) { return Step(consumed: at, event: event) }
            }
        } catch {
            phase = .broken
            return Step(consumed: unread.count, event: .violation(error))
        }
        return Step(consumed: at, event: .needBytes)
    }

    private mutating func take(
        _ unread: UnsafeRawBufferPointer, _ at: inout Int
    ) throws(QMTPViolation) -> Event? {
        let byte = unread[at]
        switch phase {
        case .length:
            if waiting.isEmpty { throw QMTPViolation("a reply that nothing was asked for") }
            at += 1
            guard let found = try length.take(byte, max: Self.replyBytesMax) else { return nil }
            guard found > 0 else { throw QMTPViolation("an empty reply") }
            remaining = found - 1
            phase = .kind
        case .kind:
            guard let told = QMTPReply.Kind(rawValue: byte) else { throw QMTPViolation("a reply that is no K, Z or D") }
            at += 1
            kind = told
            phase = remaining > 0 ? .text : .comma
        case .text:
            let count = min(remaining, unread.count - at)
            text.append(contentsOf: unread[at..<(at + min(count, QMTPReply.textBytesMax - text.count))])
            at += count
            remaining -= count
            if remaining == 0 { phase = .comma }
        case .comma:
            guard byte == Byte.comma else { throw QMTPViolation("a netstring without its comma") }
            at += 1
            phase = .length
            return endReply()
        case .broken:
            throw QMTPViolation("the conversation is over")
        }
        return nil
    }

    private mutating func endReply() -> Event? {
        replies.append(QMTPReply(kind: kind, text: text))
        text = []
        guard replies.count == waiting.first else { return nil }
        waiting.removeFirst()
        defer { replies = [] }
        return .replies(replies)
    }
}
