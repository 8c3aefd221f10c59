import Mail

/// The `xtext` of RFC 3461 §4: printable ASCII stands for itself, "+", "=" and everything else is `+XX`.
package enum XText {
    /// The text as a parameter's value.
    package static func encode(_ text: String) -> String {
        var bytes: [UInt8] = []
        encode(text, into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the text as a parameter's value.
    package static func encode(_ text: String, into bytes: inout [UInt8]) {
        // Most texts stand for themselves.
        if text.hasOnly(isLiteral) { return bytes.append(utf8: text) }
        for byte in text.utf8 {
            if isLiteral(byte) {
                bytes.append(byte)
            } else {
                bytes.append(ASCII.plus)
                bytes.append(hexDigit(byte >> 4))
                bytes.append(hexDigit(byte & 15))
            }
        }
    }

    /// What a parameter's value stands for. Nil if it is no xtext, or if the result is not UTF-8.
    package static func decode(_ value: some Collection<UInt8>) -> String? {
        if value.allSatisfy(isLiteral) { return String(decoding: value, as: UTF8.self) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(value.count)
        var at = value.startIndex
        while at != value.endIndex {
            let byte = value[at]
            value.formIndex(after: &at)
            guard (0x21...0x7E).contains(byte), byte != ASCII.equals else { return nil }
            guard byte == ASCII.plus else {
                bytes.append(byte)
                continue
            }
            var decoded: UInt8 = 0
            for _ in 0..<2 {
                guard at != value.endIndex, let digit = hexValue(value[at]) else { return nil }
                value.formIndex(after: &at)
                decoded = decoded << 4 | digit
            }
            bytes.append(decoded)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func isLiteral(_ byte: UInt8) -> Bool {
        byte >= 0x21 && byte <= 0x7E && byte != ASCII.plus && byte != ASCII.equals
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

    /// RFC 3461 §4 has upper-case digits only.
    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        default: nil
        }
    }
}
