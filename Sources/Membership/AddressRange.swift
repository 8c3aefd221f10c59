import Glibc

/// A range of IP addresses in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3), or one address.
package struct AddressRange: Hashable, Sendable {
    /// 4 or 16 octets, with the bits behind the prefix cleared.
    private let octets: [UInt8]
    package let prefixLength: Int

    /// Takes `10.1.0.0/16`, `2001:db8::/32` or a single address. Nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = Self.octets(of: String(parts[0])) else { return nil }
        var length = address.count * 8
        if parts.count == 2 {
            guard !parts[1].isEmpty, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let given = Int(parts[1]), given <= length
            else { return nil }
            length = given
        }
        prefixLength = length
        octets = Self.masked(address, length)
    }

    /// Whether the address, in text, is in the range. An IPv4 address mapped into IPv6 counts as the IPv4 address.
    package func contains(_ address: String) -> Bool {
        guard var candidate = Self.octets(of: address) else { return false }
        if octets.count == 4, candidate.count == 16, candidate.prefix(12).elementsEqual(Self.mappedPrefix) {
            candidate = Array(candidate.suffix(4))
        }
        return candidate.count == octets.count && Self.masked(candidate, prefixLength) == octets
    }

    private static let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

    private static func octets(of text: String) -> [UInt8]? {
        var octets = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET6, text, &octets) == 1 { return octets }
        octets = [0, 0, 0, 0]
        return inet_pton(AF_INET, text, &octets) == 1 ? octets : nil
    }

    private static func masked(_ octets: [UInt8], _ length: Int) -> [UInt8] {
        octets.enumerated().map { index, octet in
            let bits = min(8, max(0, length - index * 8))
            return octet & ~UInt8(truncatingIfNeeded: 0xFF >> bits)
        }
    }
}

extension AddressRange: CustomStringConvertible {
    package var description: String {
        var octets = octets
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        _ = inet_ntop(octets.count == 4 ? AF_INET : AF_INET6, &octets, &text, socklen_t(text.count))
        let address = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return prefixLength == octets.count * 8 ? address : "\(address)/\(prefixLength)"
    }
}
