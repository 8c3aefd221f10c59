import POP3

/// The encoder against a reference that looks at one byte at a time: the same octets for any message in any pieces,
/// and never more than it announced.
func fuzzPOP3MessageEncoder(_ input: UnsafeRawBufferPointer) {
    guard input.count >= 2 else { return }
    let topLines = input[0] & 1 == 0 ? nil : Int(input[0] >> 1) % 8
    let pieceMax = Int(input[1]) % 16 + 1
    let message = Array(input.dropFirst(2))
    var encoder = POP3MessageEncoder(topLines: topLines)
    var encoded: [UInt8] = []
    var position = 0
    while position < message.count {
        let piece = Array(message[position..<min(message.count, position + pieceMax)])
        position += piece.count
        encoded += [UInt8](unsafeUninitializedCapacity: POP3MessageEncoder.maximumOutputBytes(forInput: piece.count)) {
            room, count in
            count = piece.withUnsafeBytes { encoder.encode($0, into: UnsafeMutableRawBufferPointer(room)) }
        }
    }
    encoded += [UInt8](unsafeUninitializedCapacity: POP3MessageEncoder.finishBytesMax) { room, count in
        count = encoder.finish(into: UnsafeMutableRawBufferPointer(room))
    }
    precondition(encoded == naivePOP3Message(message, topLines: topLines), "encoder and reference differ")
    precondition(topLines != nil || decoded(encoded) == withCRLF(message), "what was encoded does not come back")
}

private func withCRLF(_ message: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    for byte in message {
        if byte == 10, output.last != 13 { output.append(13) }
        output.append(byte)
    }
    return message.isEmpty || message.last == 10 ? output : output + [13, 10]
}

private func naivePOP3Message(_ message: [UInt8], topLines: Int?) -> [UInt8] {
    var output: [UInt8] = []
    var isInHeader = true
    var left = topLines ?? Int.max
    for line in withCRLF(message).splitAtCRLF() {
        if !isInHeader {
            if left == 0 { break }
            left -= 1
        }
        output += (line.first == 46 ? [46] : []) + line + [13, 10]
        if line.isEmpty { isInHeader = false }
    }
    return output + [46, 13, 10]
}

/// What a client makes of it, fed in one piece.
private func decoded(_ response: [UInt8]) -> [UInt8] {
    var client = POP3ClientSession()
    client.send(.retr(1))
    let bytes = Array("+OK\r\n+OK\r\n".utf8) + response
    var start = 0
    var body: [UInt8] = []
    while true {
        let step = bytes[start...].withUnsafeBytes { client.receive($0) }
        if case .body(let range) = step.event { body += bytes[(start + range.lowerBound)..<(start + range.upperBound)] }
        start += step.consumed
        switch step.event {
        case .end:
            precondition(start == bytes.count, "the message ends too early")
            return body
        case .needBytes, .violation: preconditionFailure("the message does not end: \(step.event)")
        default: continue
        }
    }
}

extension [UInt8] {
    fileprivate func splitAtCRLF() -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var line: [UInt8] = []
        for byte in self {
            if byte == 10, line.last == 13 {
                line.removeLast()
                lines.append(line)
                line = []
            } else {
                line.append(byte)
            }
        }
        return lines
    }
}
