/// The inside of an address literal's brackets (RFC 5321 §4.1.3), judged by its form only.
enum AddressLiteral {
    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if bytes.matches("IPV6:", at: 0) { return isIPv6(bytes.slice(5..<bytes.count)) }
        if isIPv4(bytes) { return true }
        return isGeneral(bytes)
    }

    /// Four numbers of at most 255, without needless zeros.
    private static func isIPv4(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var numbers = 0
        for part in bytes.split(separator: ASCII.dot, omittingEmptySubsequences: false) {
            guard (1...3).contains(part.count), part.allSatisfy(ASCII.isDigit) else { return false }
            guard part.reduce(0, { $0 * 10 + Int($1 - 0x30) }) <= 255 else { return false }
            numbers += 1
        }
        return numbers == 4
    }

    /// Up to eight groups of up to four digits, one "::" for a run of zeros, the last two perhaps as IPv4.
    private static func isIPv6(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let parts = bytes.split(separator: ASCII.colon, omittingEmptySubsequences: false)
        guard (3...9).contains(parts.count) else { return false }
        var groups = 0
        var empty = 0
        for (index, part) in parts.enumerated() {
            if part.isEmpty {
                // "::" makes one empty part inside, two at an end, three when it is all there is.
                let isOuter = index == 0 || index == parts.count - 1
                let beside = index == 0 ? parts[1] : parts[max(0, index - 1)]
                if isOuter, !beside.isEmpty { return false }
                if !isOuter { empty += 1 }
            } else if index == parts.count - 1, part.contains(ASCII.dot) {
                guard isIPv4(UnsafeRawBufferPointer(rebasing: part)) else { return false }
                groups += 2
            } else {
                guard part.count <= 4, part.allSatisfy(ASCII.isHexDigit) else { return false }
                groups += 1
            }
        }
        return empty == 0 ? groups == 8 : empty == 1 && groups <= 7
    }

    /// `Standardized-tag ":" 1*dcontent`
    private static func isGeneral(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let colon = bytes.position(of: ASCII.colon, from: 0, to: bytes.count), colon > 0, colon + 1 < bytes.count,
            bytes[colon - 1] != ASCII.hyphen
        else { return false }
        return bytes[..<colon].allSatisfy { ASCII.isLetterOrDigit($0) || $0 == ASCII.hyphen }
    }
}
