/// Envelope addresses as files and other protocols have them.
enum WireAddress {
    /// As it may stand between the angle brackets of SMTP: with quotes around a local part that needs them (RFC 5321 §4.1.2).
    /// Nil if no SMTP can carry it.
    static func quoted(_ address: [UInt8]) -> [UInt8]? {
        guard !address.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return nil }
        guard let at = address.lastIndex(of: UInt8(ascii: "@")) else {
            return address.allSatisfy(isPlain) ? address : nil
        }
        let (local, domain) = (address[..<at], address[at...])
        guard !domain.contains(where: { $0 == UInt8(ascii: ">") || $0 == UInt8(ascii: " ") }) else { return nil }
        if local.allSatisfy(isPlain) || isQuoted(local) { return address }
        var output = [UInt8(ascii: "\"")]
        for byte in local {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
            output.append(byte)
        }
        return output + [UInt8(ascii: "\"")] + domain
    }

    /// Without the quotes, as QMTP has it.
    static func unquoted(_ address: [UInt8]) -> [UInt8] {
        guard let at = address.lastIndex(of: UInt8(ascii: "@")), isQuoted(address[..<at]) else { return address }
        var output: [UInt8] = []
        var isEscaped = false
        for byte in address[1..<(at - 1)] {
            isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
            if !isEscaped { output.append(byte) }
        }
        return output + address[at...]
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte > 0x20 && !"()<>[]:;,\\\"@".utf8.contains(byte)
    }

    /// Whether it is one quoted string from end to end.
    private static func isQuoted(_ local: ArraySlice<UInt8>) -> Bool {
        let quote = UInt8(ascii: "\"")
        guard local.count >= 2, local.first == quote, local.last == quote else { return false }
        var isEscaped = false
        for byte in local.dropFirst().dropLast() {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == quote {
                return false
            }
        }
        return !isEscaped
    }
}
