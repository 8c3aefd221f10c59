/// Quoted-printable (RFC 2045 §6.7): 7-bit lines of at most 76 octets out of any bytes.
enum QuotedPrintable {
    private static let lineBytesMax = 76

    /// - Parameter bytes: text whose line ends are CRLF; a CR or LF alone is data.
    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 8)
        var column = 0
        var at = 0
        while at < bytes.count {
            if isLineEnd(bytes, at) {
                output += [0x0D, 0x0A]
                column = 0
                at += 2
                continue
            }
            let unit = encoded(bytes[at], isLast: at + 1 == bytes.count || isLineEnd(bytes, at + 1))
            // One octet is kept for the "=" of a soft line break.
            if column + unit.count >= lineBytesMax {
                output += [0x3D, 0x0D, 0x0A]
                column = 0
            }
            output += unit
            column += unit.count
            at += 1
        }
        return output
    }

    private static func isLineEnd(_ bytes: [UInt8], _ at: Int) -> Bool {
        at + 1 < bytes.count && bytes[at] == 0x0D && bytes[at + 1] == 0x0A
    }

    /// A blank at a line's end would be lost.
    private static func encoded(_ byte: UInt8, isLast: Bool) -> [UInt8] {
        let isPlain = (0x21...0x7E).contains(byte) && byte != 0x3D
        let isInnerBlank = (byte == 0x20 || byte == 0x09) && !isLast
        return isPlain || isInnerBlank ? [byte] : [0x3D, digit(byte >> 4), digit(byte & 15)]
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }
}
