import Maildirs
import NIOCore

/// A message's file as it goes over a hop: LF becomes CRLF, and nothing else changes.
struct CopyText {
    private var endsWithCR = false

    /// Puts the next piece of the file behind what `output` holds.
    mutating func append(_ piece: [UInt8], to output: inout ByteBuffer) {
        var start = piece.startIndex
        while let end = piece[start...].firstIndex(of: UInt8(ascii: "\n")) {
            output.writeBytes(piece[start..<end])
            let hasCR = end > piece.startIndex ? piece[end - 1] == UInt8(ascii: "\r") : endsWithCR
            if !hasCR { output.writeInteger(UInt8(ascii: "\r")) }
            output.writeInteger(UInt8(ascii: "\n"))
            start = end + 1
        }
        output.writeBytes(piece[start...])
        if let last = piece.last { endsWithCR = last == UInt8(ascii: "\r") }
    }
}

extension CopyText {
    /// A larger message streams to whoever takes it and is never whole in memory.
    static let wholeBytesMax = 1 << 20

    static func whole(_ tombstone: Tombstone) -> ByteBuffer {
        var text = CopyText()
        var body = ByteBuffer()
        text.append(tombstone.lines, to: &body)
        return body
    }

    /// Nil if it cannot be read to its end.
    static func whole(_ reader: MessageReader) async -> ByteBuffer? {
        var text = CopyText()
        var body = ByteBuffer()
        var octets = 0
        while true {
            let piece: MessageReader.Piece = await withCheckedContinuation { read in
                reader.read { read.resume(returning: $0) }
            }
            guard case .success(let bytes) = piece else { return nil }
            guard !bytes.isEmpty else { return octets >= reader.size ? body : nil }
            octets += bytes.count
            text.append(bytes, to: &body)
        }
    }
}
