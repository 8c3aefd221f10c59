/// Reads the header by which a balancer tells who its client is (HAProxy's PROXY protocol, versions 1 and 2).
///
/// It is the first thing on a connection, and only configured balancers are listened to.
package struct ProxyProtocolDecoder: Sendable {
    /// Who the balancer speaks for.
    package struct Source: Sendable, Hashable {
        /// The client's address in text: `192.0.2.1`, `2001:db8::1`.
        package let address: String
        package let port: Int

        package init(address: String, port: Int) {
            self.address = address
            self.port = port
        }
    }

    package enum Result: Sendable, Equatable {
        case needBytes
        /// The header takes the first `consumed` bytes. No source: the balancer cannot tell (UNKNOWN, UNIX, UNSPEC).
        /// Local: the balancer speaks for itself, as for a health check. The connection's own address counts in both.
        case header(consumed: Int, source: Source?, local: Bool)
        /// No header, or a broken one: the connection is to be closed.
        case invalid(String)
    }

    /// The longest version 1 line with its CRLF (section 2.1).
    static let lineBytesMax = 107

    /// The longest version 2 header behind its first 16 bytes: addresses and TLVs.
    private let payloadBytesMax: Int

    /// - Parameter payloadBytesMax: 536 is what a sender may count on (section 2.2); senders of certificates in TLVs
    ///   need more. Held to 36...4096.
    package init(payloadBytesMax: Int = 536) {
        self.payloadBytesMax = min(max(payloadBytesMax, 36), 4096)
    }

    /// Looks at everything that has come so far, from the connection's first byte.
    package func decode(_ bytes: UnsafeRawBufferPointer) -> Result {
        guard let first = bytes.first else { return .needBytes }
        return first == Self.signature[0] ? decodeBinary(bytes) : decodeLine(bytes)
    }
}

// MARK: - Version 1: a line

extension ProxyProtocolDecoder {
    private func decodeLine(_ bytes: UnsafeRawBufferPointer) -> Result {
        let head = bytes.prefix(Self.lineBytesMax)
        guard head.prefix(6).elementsEqual("PROXY ".utf8.prefix(head.count)) else {
            return .invalid("no PROXY header")
        }
        guard let end = head.firstIndex(of: UInt8(ascii: "\n")) else {
            return bytes.count < Self.lineBytesMax ? .needBytes : .invalid("PROXY line too long")
        }
        guard head[end - 1] == UInt8(ascii: "\r") else { return .invalid("PROXY line without CRLF") }
        let line = head[..<(end - 1)]
        guard line.allSatisfy({ (0x20...0x7E).contains($0) }) else { return .invalid("PROXY line with odd bytes") }
        let words = String(decoding: line, as: UTF8.self)
            .split(separator: " ", omittingEmptySubsequences: false)
        if words.count >= 2, words[1] == "UNKNOWN" { return .header(consumed: end + 1, source: nil, local: false) }
        guard words.count == 6, let source = Self.source(words) else { return .invalid("malformed PROXY line") }
        return .header(consumed: end + 1, source: source, local: false)
    }

    /// `PROXY TCP4 source destination sourceport destinationport`; all of it must be right.
    private static func source(_ words: [Substring]) -> Source? {
        guard let port = port(words[4]), Self.port(words[5]) != nil else { return nil }
        switch words[1] {
        case "TCP4":
            guard let address = IPv4Text.parse(words[2]), IPv4Text.parse(words[3]) != nil else { return nil }
            return Source(address: IPv4Text.format(address), port: port)
        case "TCP6":
            guard let address = IPv6Text.parse(words[2]), IPv6Text.parse(words[3]) != nil else { return nil }
            return Source(address: IPv6Text.format(address), port: port)
        default:
            return nil
        }
    }

    /// Decimal, 0 to 65535, without leading zeros.
    private static func port(_ text: Substring) -> Int? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), text == "0" || !text.hasPrefix("0") else {
            return nil
        }
        return UInt16(text).map(Int.init)
    }
}

// MARK: - Version 2: binary

extension ProxyProtocolDecoder {
    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]

    private func decodeBinary(_ bytes: UnsafeRawBufferPointer) -> Result {
        guard bytes.prefix(12).elementsEqual(Self.signature.prefix(bytes.count)) else {
            return .invalid("no PROXY header")
        }
        guard bytes.count >= 16 else { return .needBytes }
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard bytes[12] >> 4 == 2 else { return .invalid("unknown PROXY version") }
        guard length <= payloadBytesMax else { return .invalid("PROXY header too long") }
        guard bytes.count >= 16 + length else { return .needBytes }
        let payload = UnsafeRawBufferPointer(rebasing: bytes[16..<(16 + length)])
        switch bytes[12] & 0x0F {
        case 0: return .header(consumed: 16 + length, source: nil, local: true)
        case 1: return decodeAddresses(payload, family: bytes[13])
        default: return .invalid("unknown PROXY command")
        }
    }

    private func decodeAddresses(_ payload: UnsafeRawBufferPointer, family: UInt8) -> Result {
        let consumed = 16 + payload.count
        let addressBytes: Int
        // Datagram transports have the same layout; a stream that claims one is taken for what it says of addresses.
        switch (family >> 4, family & 0x0F) {
        case (1, 1...2): addressBytes = 4
        case (2, 1...2): addressBytes = 16
        case (3, 1...2): return payload.count >= 216 ? unknown(consumed) : .invalid("PROXY addresses cut short")
        case (0, _), (_, 0): return unknown(consumed)
        default: return .invalid("unknown PROXY address family")
        }
        guard payload.count >= 2 * addressBytes + 4 else { return .invalid("PROXY addresses cut short") }
        let address = Array(payload[..<addressBytes])
        let port = Int(payload[2 * addressBytes]) << 8 | Int(payload[2 * addressBytes + 1])
        let text = addressBytes == 4 ? IPv4Text.format(address) : IPv6Text.format(address)
        return .header(consumed: consumed, source: Source(address: text, port: port), local: false)
    }

    private func unknown(_ consumed: Int) -> Result {
        .header(consumed: consumed, source: nil, local: false)
    }
}

// MARK: - Addresses

/// IPv4 addresses in text: four decimal numbers.
enum IPv4Text {
    /// Nil unless it is four numbers of 0 to 255 without leading zeros.
    static func parse(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: [UInt8] = []
        for part in parts {
            guard part.utf8.allSatisfy({ (0x30...0x39).contains($0) }), part == "0" || !part.hasPrefix("0"),
                let number = UInt8(part)
            else { return nil }
            address.append(number)
        }
        return address
    }

    static func format(_ address: [UInt8]) -> String {
        address.map(String.init).joined(separator: ".")
    }
}

/// IPv6 addresses in text (RFC 4291 §2.2), written as RFC 5952 §4 says.
enum IPv6Text {
    /// Nil for anything but eight groups, with at most one `::` and perhaps IPv4 digits at the end.
    static func parse(_ text: Substring) -> [UInt8]? {
        guard text.utf8.count <= 45 else { return nil }
        guard let gap = doubleColon(text) else {
            guard let groups = groups(text), groups.count == 16 else { return nil }
            return groups
        }
        guard doubleColon(text[text.index(after: gap.lowerBound)...]) == nil,
            let head = head(text[..<gap.lowerBound]), let tail = groups(text[gap.upperBound...]),
            head.count + tail.count <= 14
        else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    static func format(_ address: [UInt8]) -> String {
        let groups = stride(from: 0, to: 16, by: 2).map { Int(address[$0]) << 8 | Int(address[$0 + 1]) }
        if groups[..<5].allSatisfy({ $0 == 0 }), groups[5] == 0xFFFF {
            return "::ffff:" + IPv4Text.format(Array(address[12...]))
        }
        let zeros = longestZeros(groups)
        guard zeros.count >= 2 else { return hex(groups[...]) }
        return hex(groups[..<zeros.lowerBound]) + "::" + hex(groups[zeros.upperBound...])
    }

    private static func hex(_ groups: ArraySlice<Int>) -> String {
        groups.map { String($0, radix: 16) }.joined(separator: ":")
    }

    /// The first of the longest runs of zero groups.
    private static func longestZeros(_ groups: [Int]) -> Range<Int> {
        var longest = 0..<0
        var start = 0
        for (index, group) in groups.enumerated() {
            if group != 0 {
                start = index + 1
            } else if index + 1 - start > longest.count {
                longest = start..<(index + 1)
            }
        }
        return longest
    }

    private static func doubleColon(_ text: Substring) -> Range<Substring.Index>? {
        var index = text.startIndex
        while index < text.endIndex {
            let after = text.index(after: index)
            if text[index] == ":", after < text.endIndex, text[after] == ":" { return index..<text.index(after: after) }
            index = after
        }
        return nil
    }

    /// What stands before the `::`: whole groups only.
    private static func head(_ text: Substring) -> [UInt8]? {
        text.contains(".") ? nil : groups(text)
    }

    private static func groups(_ text: Substring) -> [UInt8]? {
        if text.isEmpty { return [] }
        var bytes: [UInt8] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, part.contains(".") {
                guard let address = IPv4Text.parse(part) else { return nil }
                bytes += address
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(isHexDigit),
                    let group = UInt16(part, radix: 16)
                else { return nil }
                bytes += [UInt8(group >> 8), UInt8(group & 0xFF)]
            }
        }
        return bytes
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        Character(Unicode.Scalar(byte)).isHexDigit
    }
}
