/// Gives a file's text the line ends of SMTP, piece by piece: LF becomes CRLF, a CRLF stays as it is.
struct LineEndEncoder {
    private var last = UInt8(ascii: "\n")

    mutating func encode(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 32 + 2)
        for byte in bytes {
            if byte == UInt8(ascii: "\n"), last != UInt8(ascii: "\r") { output.append(UInt8(ascii: "\r")) }
            output.append(byte)
            last = byte
        }
        return output
    }
}
