import SMTP

/// The body decoder against one that is easy to understand, in pieces of any size: the same text, end and fault.
func fuzzBodyDecoder(_ input: UnsafeRawBufferPointer) {
    guard input.count > 2 else { return }
    let framing: BodyDecoder.Framing = input[0] & 1 == 0 ? .dots : .chunks
    let lineBytesMax = input[0] & 2 == 0 ? 16 : 1 << 20
    let bytes = Array(input.dropFirst(2))
    let wanted = NaiveBody(bytes, framing: framing, lineBytesMax: lineBytesMax)
    for piece in [bytes.count, 1, 1 + Int(input[1]) % 16] {
        check(bytes, piece: piece, BodyDecoder(framing: framing, lineBytesMax: lineBytesMax), wanted)
    }
}

private func check(_ bytes: [UInt8], piece: Int, _ fresh: BodyDecoder, _ wanted: NaiveBody) {
    var decoder = fresh
    var text: [UInt8] = []
    var at = 0
    var ended = false
    while at < bytes.count, !ended {
        var rest = bytes[at..<min(bytes.count, at + piece)]
        while !rest.isEmpty, !ended {
            let found = rest.withUnsafeBytes { decoder.decode($0) }
            precondition(found.consumed > 0 || decoder.fault != nil, "no progress")
            precondition(found.text.upperBound <= found.consumed && found.consumed <= rest.count, "\(found)")
            let start = rest.startIndex
            text += rest[(start + found.text.lowerBound)..<(start + found.text.upperBound)]
            rest = rest.dropFirst(found.consumed)
            at += found.consumed
            ended = found.ended
        }
    }
    precondition(decoder.fault == wanted.fault, "fault \(String(describing: decoder.fault)), not \(wanted)")
    precondition(ended == wanted.ended && (!ended || at == wanted.consumed), "end at \(at), not \(wanted)")
    if wanted.fault == nil { precondition(text == wanted.text, "text \(text), not \(wanted)") }
}

/// The rules of RFC 5321 §4.5.2 a byte at a time.
private struct NaiveBody {
    var text: [UInt8] = []
    var ended = false
    var consumed = 0
    var fault: BodyDecoder.Fault?

    init(_ bytes: [UInt8], framing: BodyDecoder.Framing, lineBytesMax: Int) {
        var line: [UInt8] = []
        for byte in bytes {
            consumed += 1
            let afterCR = line.last == 13
            if byte == 10, afterCR {
                line.removeLast()
                if framing == .dots, line == [46] {
                    ended = true
                    return
                }
                text += content(line, framing) + [13, 10]
                line = []
                continue
            }
            if afterCR || byte == 10 { fault = fault ?? .bareLineEnd }
            line.append(byte)
            if byte != 13, content(line, framing).count > lineBytesMax - 2 { fault = fault ?? .lineTooLong }
        }
        // A dot, or a dot and a CR, at the end of what came may be the end of all.
        if framing == .dots, line == [46] || line == [46, 13] { line = [] }
        text += content(line, framing)
    }

    private func content(_ line: [UInt8], _ framing: BodyDecoder.Framing) -> [UInt8] {
        framing == .dots && line.first == 46 ? Array(line.dropFirst()) : line
    }
}
