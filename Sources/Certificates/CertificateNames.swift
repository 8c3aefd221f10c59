import Glibc

/// The names that a certificate is good for (RFC 5280 §4.2.1.6).
package struct CertificateNames: Hashable, Sendable {
    package let dnsNames: [String]
    package let ipAddresses: [String]

    package init(dnsNames: [String], ipAddresses: [String] = []) throws(CertificateError) {
        for name in dnsNames where !Self.isDNSName(name) { throw .notADNSName(name) }
        for address in ipAddresses where !Self.isIPAddress(address) { throw .notAnIPAddress(address) }
        self.dnsNames = dnsNames
        self.ipAddresses = ipAddresses
    }

    /// In the language of x509v3_config(5): safe, because neither kind can hold a comma. Nil for no names.
    var configuration: String? {
        let parts = dnsNames.map { "DNS:\($0)" } + ipAddresses.map { "IP:\($0)" }
        return parts.isEmpty ? nil : parts.joined(separator: ",")
    }

    /// Labels of letters, digits, hyphens and underscores; the first may be "*" (RFC 9525 §6.3).
    static func isDNSName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.enumerated().allSatisfy { index, label in
            (1...63).contains(label.count)
                && (label.allSatisfy(isLabelByte) || (index == 0 && labels.count > 1 && label.elementsEqual("*".utf8)))
        }
    }

    private static func isLabelByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func isIPAddress(_ text: String) -> Bool {
        var (ipv4, ipv6) = (in_addr(), in6_addr())
        return inet_pton(AF_INET, text, &ipv4) == 1 || inet_pton(AF_INET6, text, &ipv6) == 1
    }
}
