import Mail
import QMTP

/// A QMTP server that hears anything in any pieces: it never traps, keeps nothing unread, gives only whole messages with
/// CRLF line ends, answers each recipient once, and does the same however the bytes are cut.
func fuzzQMTPServerSession(_ input: UnsafeRawBufferPointer) { fuzzServer(input, isQMQP: false) }

/// The same for QMQP, where there is one message and one reply.
func fuzzQMQPServerSession(_ input: UnsafeRawBufferPointer) { fuzzServer(input, isQMQP: true) }

private func fuzzServer(_ input: UnsafeRawBufferPointer, isQMQP: Bool) {
    guard input.count > 3 else { return }
    let bytes = Array(input.dropFirst(3))
    let whole = FuzzedQMTPServer(input, isQMQP: isQMQP)
    let cut = FuzzedQMTPServer(input, isQMQP: isQMQP)
    whole.run(bytes, piece: max(1, bytes.count))
    cut.run(bytes, piece: 1 + Int(input[1]) % 20)
    precondition(whole.output == cut.output, "the replies depend on how the bytes were cut")
    precondition(whole.messages == cut.messages, "the messages depend on how the bytes were cut")
}

private final class FuzzedQMTPServer {
    private(set) var output: [UInt8] = []
    private(set) var messages: [[UInt8]] = []
    private let isQMQP: Bool
    private let answers: UInt8
    private var qmtp: QMTPServerSession
    private var qmqp: QMQPServerSession
    private var open: [UInt8]?
    private var asked = 0
    private var isClosed = false

    init(_ input: UnsafeRawBufferPointer, isQMQP: Bool) {
        let limits = QMTPLimits(
            messageBytesMax: input[0] & 1 == 0 ? 8 : 1 << 20, recipientsMax: 2, textLineBytesMax: 1000)
        self.isQMQP = isQMQP
        answers = input[2]
        qmtp = QMTPServerSession(limits: limits)
        qmqp = QMQPServerSession(limits: limits)
    }

    func run(_ bytes: [UInt8], piece: Int) {
        var unread: [UInt8] = []
        var fed = 0
        while !isClosed {
            let step = unread.withUnsafeBytes { isQMQP ? qmqp.receive($0) : qmtp.receive($0) }
            precondition(step.consumed <= unread.count, "consumed too much")
            unread.removeFirst(step.consumed)
            if step.action == .needBytes {
                precondition(unread.isEmpty, "holds \(unread.count) bytes")
                if fed == bytes.count { break }
                let end = min(bytes.count, fed + piece)
                unread += bytes[fed..<end]
                fed = end
            }
            perform(step.action)
            output += isQMQP ? qmqp.takeOutput() : qmtp.takeOutput()
        }
    }

    /// The same question is answered the same way in both runs.
    private func verdict() -> Verdict {
        asked += 1
        switch (Int(answers) + asked) % 5 {
        case 3: return .deferred(Reason(451, "4.3.0", "later\n,K"))
        case 4: return .refused(Reason(550, "5.1.1", "never"))
        default: return .accepted
        }
    }

    private func perform(_ action: QMTPServerAction) {
        switch action {
        case .needBytes, .proceed: break
        case .startMessage:
            precondition(open == nil, "two messages at once")
            let verdict = verdict()
            open = verdict.isAccepted ? [] : nil
            if isQMQP { qmqp.messageStarted(verdict) } else { qmtp.messageStarted(verdict) }
        case .body(let bytes):
            precondition(open != nil && !bytes.isEmpty, "a body of nothing")
            open?.append(contentsOf: bytes)
        case .endMessage(let envelope): end(envelope)
        case .abandonMessage:
            precondition(open != nil, "abandons what is not there")
            open = nil
        case .close: isClosed = true
        }
    }

    private func end(_ envelope: QMTPEnvelope) {
        guard let message = open else { preconditionFailure("ends what is not there") }
        open = nil
        precondition((1...2).contains(envelope.recipients.count), "\(envelope.recipients.count) recipients")
        precondition(message.count == envelope.byteCount, "counted \(envelope.byteCount)")
        precondition(envelope.endsInsideLine == (message.last ?? 10 != 10), "its last line is another")
        for (index, byte) in message.enumerated() {
            if byte == 13 {
                precondition(index + 1 < message.count && message[index + 1] == 10, "a bare CR came through")
            }
            if byte == 10 { precondition(index > 0 && message[index - 1] == 13, "a bare LF came through") }
        }
        messages.append(message)
        let verdicts = envelope.recipients.map { _ in verdict() }
        if isQMQP { qmqp.messageStored(verdicts[0]) } else { qmtp.messageStored(verdicts) }
    }
}
