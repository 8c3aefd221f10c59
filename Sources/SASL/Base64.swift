/// Base64 (RFC 4648 §4), strict: no line ends, padding where it must be and nowhere else, unused bits zero (§3.5).
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let padding = UInt8(ascii: "=")

    package static func encode(_ bytes: [UInt8]) -> String {
        let length = (bytes.count + 2) / 3 * 4
        return String(unsafeUninitializedCapacity: length) { output in
            var written = 0
            var index = 0
            while index < bytes.count {
                let left = bytes.count - index
                let group =
                    UInt32(bytes[index]) << 16 | (left > 1 ? UInt32(bytes[index + 1]) << 8 : 0)
                    | (left > 2 ? UInt32(bytes[index + 2]) : 0)
                output[written] = alphabet[Int(group >> 18)]
                output[written + 1] = alphabet[Int(group >> 12 & 63)]
                output[written + 2] = left > 1 ? alphabet[Int(group >> 6 & 63)] : padding
                output[written + 3] = left > 2 ? alphabet[Int(group & 63)] : padding
                written += 4
                index += 3
            }
            return written
        }
    }

    /// Nil for anything that `encode` does not make. The result is at most three quarters as long as the text.
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.underestimatedCount / 4 * 3)
        var group: UInt32 = 0
        var digits = 0
        var pads = 0
        for character in text {
            if character == padding {
                pads += 1
                guard digits >= 2, digits + pads <= 4 else { return nil }
                continue
            }
            guard pads == 0, let digit = value(character) else { return nil }
            group = group << 6 | digit
            digits += 1
            if digits == 4 {
                bytes.append(UInt8(truncatingIfNeeded: group >> 16))
                bytes.append(UInt8(truncatingIfNeeded: group >> 8))
                bytes.append(UInt8(truncatingIfNeeded: group))
                (group, digits) = (0, 0)
            }
        }
        switch (digits, pads) {
        case (0, 0):
            return bytes
        case (2, 2) where group & 0xF == 0:
            bytes.append(UInt8(truncatingIfNeeded: group >> 4))
            return bytes
        case (3, 1) where group & 0x3 == 0:
            bytes.append(UInt8(truncatingIfNeeded: group >> 10))
            bytes.append(UInt8(truncatingIfNeeded: group >> 2))
            return bytes
        default:
            return nil
        }
    }

    @inline(__always)
    private static func value(_ character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
