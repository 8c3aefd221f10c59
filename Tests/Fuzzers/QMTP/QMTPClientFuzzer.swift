import Mail
import QMTP

/// Any content is one netstring, and a server that reads it finds it again.
func fuzzNetstring(_ input: UnsafeRawBufferPointer) {
    let content = Array(input)
    let encoded = Netstring.encode(content)
    let head = Netstring.head(content.count)
    precondition(encoded == head + content + [UInt8(ascii: ",")], "another netstring")
    // As the text of a message, if it holds no CR.
    guard !content.contains(13) else { return }
    var client = QMTPClientSession()
    let frame = client.begin(sender: [], recipients: [Array("a@b".utf8)], byteCount: content.count, lineEnds: .lf)
    var server = QMTPServerSession()
    var unread = frame.head + content + frame.tail
    var text: [UInt8] = []
    while true {
        let step = unread.withUnsafeBytes { server.receive($0) }
        unread.removeFirst(step.consumed)
        switch step.action {
        case .startMessage: server.messageStarted(.accepted)
        case .body(let bytes): text += bytes
        case .endMessage: return precondition(text.filter { $0 != 13 } == content, "another text")
        default: preconditionFailure("the server does not take what the client writes: \(step.action)")
        }
    }
}

/// A client that hears anything in any pieces: it never traps, keeps nothing unread, gives each message as many replies as
/// it has recipients, and hears the same however the bytes are cut.
func fuzzQMTPClientSession(_ input: UnsafeRawBufferPointer) {
    guard input.count > 2 else { return }
    let bytes = Array(input.dropFirst(2))
    let counts = [1, 1 + Int(input[0]) % 3, 2, 1]
    let whole = replies(bytes, counts, piece: max(1, bytes.count))
    precondition(whole == replies(bytes, counts, piece: 1 + Int(input[1]) % 20), "the replies depend on the cuts")
    for (index, told) in whole.enumerated() { precondition(told.count == counts[index], "\(told.count) replies") }
}

private func replies(_ bytes: [UInt8], _ counts: [Int], piece: Int) -> [[QMTPReply]] {
    var client = QMTPClientSession()
    for count in counts {
        let recipients = Array(repeating: Array("a@b".utf8), count: count)
        _ = client.begin(sender: [], recipients: recipients, byteCount: 0, lineEnds: .crlf)
    }
    var found: [[QMTPReply]] = []
    var unread: [UInt8] = []
    var fed = 0
    while true {
        let step = unread.withUnsafeBytes { client.receive($0) }
        unread.removeFirst(step.consumed)
        switch step.event {
        case .needBytes:
            precondition(unread.isEmpty, "holds \(unread.count) bytes")
            if fed == bytes.count { return found }
            let end = min(bytes.count, fed + piece)
            unread += bytes[fed..<end]
            fed = end
        case .replies(let told):
            for reply in told {
                precondition(reply.text.count <= QMTPReply.textBytesMax, "a long reply is kept")
                precondition(reply.verdict.isAccepted == (reply.kind == .accepted), "another verdict")
            }
            found.append(told)
        case .violation:
            return found
        }
    }
}
