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
