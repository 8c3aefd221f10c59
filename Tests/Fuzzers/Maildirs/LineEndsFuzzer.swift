@testable import Maildirs

/// The decoder of line ends against a reference that looks at one byte at a time: the same bytes on disk for any pieces,
/// and the octets that POP3 will send for them.
func fuzzLineEnds(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let wire = Array(input.dropFirst())
    let pieceMax = 1 + Int(first) % 16
    let buffer = BodyBuffer(capacity: 1)
    var decoder = LineEndDecoder()
    for piece in pieces(of: wire, pieceMax) { piece.withUnsafeBytes { decoder.append($0, to: buffer) } }
    decoder.finish(buffer)
    let disk = withoutCRLF(wire)
    precondition(buffer.bytes.elementsEqual(disk), "decoder and reference differ")
    precondition(decoder.size.diskOctets == disk.count, "counted \(decoder.size.diskOctets) octets")
    precondition(decoder.size.wireOctets == wireOctets(disk), "\(decoder.size.wireOctets) octets will be sent")

    // What another tool put there may hold any line ends.
    var size = WireSize()
    for piece in pieces(of: wire, pieceMax) { size.add(piece) }
    precondition(size.wireOctets == wireOctets(wire) && size.diskOctets == wire.count, "\(size) of a foreign message")
}

private func pieces(of bytes: [UInt8], _ lengthMax: Int) -> [[UInt8]] {
    stride(from: 0, to: bytes.count, by: lengthMax).map { Array(bytes[$0..<min(bytes.count, $0 + lengthMax)]) }
}

private func withoutCRLF(_ wire: [UInt8]) -> [UInt8] {
    var disk: [UInt8] = []
    for (index, byte) in wire.enumerated() {
        let isEnd = byte == 13 && index + 1 < wire.count && wire[index + 1] == 10
        let isSecond = index > 0 && wire[index - 1] == 13
        if !isEnd || isSecond { disk.append(byte) }
    }
    return disk
}

private func wireOctets(_ disk: [UInt8]) -> Int {
    var count = 0
    var last: UInt8 = 10
    for byte in disk {
        count += byte == 10 && last != 13 ? 2 : 1
        last = byte
    }
    return count + (last == 10 ? 0 : 2)
}
