import Glibc

/// What counts as one client where clients are counted: an IPv4 address, or the /64 that an IPv6 host has to itself and
/// may take any address from (RFC 4291 §2.5.1, RFC 6177).
package struct ClientNetwork: Hashable, Sendable {
    private let bytes: [UInt8]

    /// Nil for what is no IP address, such as a Unix socket.
    package init?(_ address: String) {
        // A zone (`fe80::1%eth0`) is this machine's own affair.
        let text = String(Self.unmapped(address).prefix { $0 != "%" })
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 {
            self.bytes = Array(bytes.prefix(4))
        } else if inet_pton(AF_INET6, text, &bytes) == 1 {
            self.bytes = Array(bytes.prefix(8))
        } else {
            return nil
        }
    }

    /// An IPv4 address as a socket of both families shows it (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2), as IPv4 text.
    static func unmapped(_ address: String) -> String {
        guard address.count > mappedPrefix.count, address.contains(":"), address.contains("."),
            address.lowercased().hasPrefix(mappedPrefix)
        else { return address }
        return String(address.dropFirst(mappedPrefix.count))
    }

    private static let mappedPrefix = "::ffff:"
}
