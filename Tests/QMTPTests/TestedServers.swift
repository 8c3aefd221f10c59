import Mail
import QMTP

extension String {
    var bytes: [UInt8] { Array(utf8) }
}

/// What a driver of a session has seen.
struct Seen: Equatable {
    var messages: [String] = []
    var envelopes: [QMTPEnvelope] = []
    var abandoned = 0
    var output = ""
    var closing: Reason??

    var isClosed: Bool { closing != nil }
}

/// Plays a driver for either kind of server: it takes every message, and answers by recipient.
final class TestedServer {
    enum Kind: CaseIterable { case qmtp, qmqp }

    private(set) var seen = Seen()
    private let kind: Kind
    private var qmtp: QMTPServerSession
    private var qmqp: QMQPServerSession
    private var unread: [UInt8] = []
    private var open: [UInt8]?
    private(set) var heldMax = 0
    /// What becomes of a message for this recipient.
    var verdict: (String) -> Verdict = { _ in .accepted }
    var start: Verdict = .accepted
    /// What the driver says to the first bytes of a text, if it does not take them.
    var refuseBody: Verdict?

    init(_ kind: Kind, _ limits: QMTPLimits = QMTPLimits()) {
        self.kind = kind
        qmtp = QMTPServerSession(limits: limits)
        qmqp = QMQPServerSession(limits: limits)
    }

    var isBetweenMessages: Bool { qmtp.isBetweenMessages }

    func receive(_ bytes: [UInt8], piece: Int = .max) {
        var rest = bytes[...]
        while !rest.isEmpty, !seen.isClosed {
            let next = rest.prefix(piece)
            rest = rest.dropFirst(next.count)
            unread += next
            while !seen.isClosed, step() {}
            heldMax = max(heldMax, unread.count)
        }
    }

    private func step() -> Bool {
        let step = unread.withUnsafeBytes { kind == .qmtp ? qmtp.receive($0) : qmqp.receive($0) }
        unread.removeFirst(step.consumed)
        switch step.action {
        case .needBytes: return false
        case .proceed: break
        case .startMessage:
            open = start.isAccepted ? [] : nil
            if kind == .qmtp { qmtp.messageStarted(start) } else { qmqp.messageStarted(start) }
        case .body(let bytes):
            open?.append(contentsOf: bytes)
            guard let refuseBody, open != nil else { break }
            open = nil
            if kind == .qmtp { qmtp.refuseMessage(refuseBody) } else { qmqp.refuseMessage(refuseBody) }
        case .abandonMessage:
            seen.abandoned += 1
            open = nil
        case .endMessage(let envelope): end(envelope)
        case .close(let reason): seen.closing = .some(reason)
        }
        let output = kind == .qmtp ? qmtp.takeOutput() : qmqp.takeOutput()
        seen.output += String(decoding: output, as: UTF8.self)
        return true
    }

    private func end(_ envelope: QMTPEnvelope) {
        seen.messages.append(String(decoding: open ?? [], as: UTF8.self))
        seen.envelopes.append(envelope)
        open = nil
        let verdicts = envelope.recipients.map { verdict($0.description) }
        if kind == .qmtp {
            qmtp.messageStored(verdicts)
        } else {
            qmqp.messageStored(verdicts.first { !$0.isAccepted } ?? .accepted)
        }
    }
}

/// Packages as a client writes them.
enum Package {
    static func qmtp(_ text: String, _ sender: String, _ recipients: [String]) -> [UInt8] {
        Netstring.encode(text.bytes) + Netstring.encode(sender.bytes)
            + Netstring.encode(recipients.flatMap { Netstring.encode($0.bytes) })
    }

    static func qmqp(_ text: String, _ sender: String, _ recipients: [String]) -> [UInt8] {
        Netstring.encode(
            Netstring.encode(text.bytes) + Netstring.encode(sender.bytes)
                + recipients.flatMap { Netstring.encode($0.bytes) })
    }
}

/// A reply as it is sent.
func reply(_ text: String) -> String { String(decoding: Netstring.encode(text.utf8), as: UTF8.self) }

let accepted = reply("K250 2.0.0 accepted")
