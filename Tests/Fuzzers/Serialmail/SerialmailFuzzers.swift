import SMTP

@testable import Maildirs
@testable import Serialmail

/// A batch of any lines: messages begin and end in turn, with a sender and recipients that no line can break, and nothing
/// follows QUIT or an error.
func fuzzBatchParser(_ input: UnsafeRawBufferPointer) {
    var parser = BatchParser()
    var isOpen = false
    for line in input.split(separator: 10, omittingEmptySubsequences: false) {
        let wasOver = parser.isBetweenMessages
        guard let event = try? parser.take(Array(line)) else { return }
        switch event {
        case .nothing, .quit: precondition(!isOpen, "a command inside of a message")
        case .begin(let sender, let recipients):
            precondition(!isOpen && !recipients.isEmpty && !wasOver, "a message out of place")
            for address in recipients + [sender] {
                precondition(!address.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "a control character in an address")
            }
            isOpen = true
        case .text(let text): precondition(isOpen && text.last == 10 && !text.dropLast().contains(10), "no line")
        case .end:
            precondition(isOpen && parser.isBetweenMessages, "an end of nothing")
            isOpen = false
        }
        precondition(!isOpen || !parser.isBetweenMessages, "an open message is whole")
    }
}

/// A reply line has a code of three digits, or is none.
func fuzzDialogueReply(_ input: UnsafeRawBufferPointer) {
    let line = Array(input)
    guard let (code, isLast) = DialogueReply.parse(line) else {
        return precondition(
            line.count < 3 || !line.prefix(3).allSatisfy { (0x30...0x39).contains($0) }, "a reply is lost")
    }
    precondition((0...999).contains(code) && isLast == (line.count == 3 || line[3] != 0x2D), "another code")
    _ = DialogueReply(code: code, lines: [line, line]).offers("PIPELINING")
}

/// From lines of any kind: a sender without control characters, or none.
func fuzzUUCPEnvelope(_ input: UnsafeRawBufferPointer) {
    var envelope = UUCPEnvelope()
    for line in input.split(separator: 10).prefix(100) { envelope.take(Array(line)) }
    guard let sender = envelope.sender else { return }
    precondition(!sender.utf8.contains { $0 <= 0x20 || $0 == 0x7F }, "a blank or control character in the sender")
}

/// What can be quoted for SMTP is one path there, and the same address without its quotes.
func fuzzWireAddress(_ input: UnsafeRawBufferPointer) {
    let address = Array(input)
    let plain = WireAddress.unquoted(address)
    precondition(plain.count <= address.count, "unquoting adds something")
    guard let quoted = WireAddress.quoted(address) else { return }
    precondition(!quoted.contains { $0 < 0x20 || $0 == 0x7F }, "a control character")
    precondition(WireAddress.unquoted(quoted) == plain, "another address")
    let path = [UInt8(ascii: "<")] + quoted + [UInt8(ascii: ">")]
    if let found = path.withUnsafeBytes({ SMTPPath.parse($0) }) {
        precondition(found.length == path.count, "the path ends inside of the address")
    }
}

/// Any beginning of a file: an envelope whose lines can be written again, or none.
func fuzzSpoolEnvelope(_ input: UnsafeRawBufferPointer) {
    let head = Array(input)
    guard let envelope = SpoolEnvelope(head) else { return }
    let lines = SpoolEnvelope.lines(sender: envelope.sender, deliveredTo: envelope.deliveredTo)
    precondition(lines == Array(head[..<envelope.byteCount]), "other lines")
    precondition(envelope.recipient(without: []) == envelope.deliveredTo, "another recipient")
}
