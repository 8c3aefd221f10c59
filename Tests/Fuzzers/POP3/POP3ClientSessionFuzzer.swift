import Mail
import POP3

/// A client session against a server that says anything in any pieces: it never traps, its ranges lie within what it
/// consumed, it keeps little unread, and it tells the same however the bytes are cut.
func fuzzPOP3ClientSession(_ input: UnsafeRawBufferPointer) {
    guard input.count > 2 else { return }
    let bytes = Array(input.dropFirst(2))
    let whole = clientTranscript(bytes, plan: input[0], piece: bytes.count)
    let cut = clientTranscript(bytes, plan: input[0], piece: 1 + Int(input[1]) % 40)
    precondition(whole == cut, "the events depend on how the bytes were cut")
}

private func clientTranscript(_ bytes: [UInt8], plan: UInt8, piece: Int) -> [String] {
    var client = POP3ClientSession()
    for command in commands(plan) { client.send(command) }
    var unread: [UInt8] = []
    var fed = 0
    var transcript: [String] = []
    var text: [UInt8] = []
    while true {
        let step = unread.withUnsafeBytes { client.receive($0) }
        precondition(step.consumed <= unread.count, "consumed more than there is")
        switch step.event {
        case .needBytes:
            precondition(unread.count < POP3ClientSession.lineBytesMax, "keeps too much unread")
            if fed >= bytes.count { return transcript + ["\(text)"] }
            unread += bytes[fed..<min(bytes.count, fed + piece)]
            fed += piece
            continue
        case .violation(let reason):
            return transcript + ["\(text)", reason]
        case .line(let range), .body(let range):
            precondition(range.upperBound <= step.consumed, "text beyond what was consumed")
            text += unread[range]
            if case .line = step.event { text.append(10) }
        case .end(let command, let octets):
            transcript += ["\(text)", "\(command) \(octets)"]
            text = []
        case .greeting, .reply:
            transcript.append("\(step.event)")
        }
        unread.removeFirst(step.consumed)
    }
}

private func commands(_ plan: UInt8) -> [POP3ClientCommand] {
    let all: [POP3ClientCommand] = [
        .stat, .list, .uidl, .retr(1), .top(1, lines: 2), .dele(1), .noop, .capa, .quit, .listOne(2),
    ]
    return (0..<12).map { all[(Int(plan) + $0 * (1 + Int(plan >> 5))) % all.count] }
}
