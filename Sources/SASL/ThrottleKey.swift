import Glibc

/// What a throttle counts by: an IPv4 address, an IPv6 /64, an account, a peer without an IP address, or an account
/// together with a network.
enum ThrottleKey: Hashable, Sendable {
    case ipv4(UInt32)
    case ipv6(UInt64)
    /// Names are kept as hashes (seeded for each process), so that long ones cost no more memory.
    case account(Int)
    case pair(Int)
    case other(Int)

    init(account: String) {
        self = .account(account.hashValue)
    }

    /// An account and where its client is: an IPv4 address counts by its /24, because providers move clients within it.
    init(account: String, network address: ThrottleKey) {
        var hasher = Hasher()
        hasher.combine(account)
        if case .ipv4(let bits) = address { hasher.combine(bits >> 8) } else { hasher.combine(address) }
        self = .pair(hasher.finalize())
    }

    var isAccount: Bool {
        if case .account = self { true } else { false }
    }

    init(address: String) {
        let text = String(address.prefix { $0 != "%" })
        var ipv4 = in_addr()
        var ipv6 = in6_addr()
        if inet_pton(AF_INET, text, &ipv4) == 1 {
            self = .ipv4(UInt32(bigEndian: ipv4.s_addr))
        } else if inet_pton(AF_INET6, text, &ipv6) == 1 {
            self = Self.key(withUnsafeBytes(of: ipv6) { Array($0) })
        } else {
            self = .other(address.hashValue)
        }
    }

    private static func key(_ bytes: [UInt8]) -> ThrottleKey {
        // An IPv4 client on a dual-stack socket (RFC 4291 §2.5.5.2).
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        if bytes.starts(with: mapped) { return .ipv4(bytes[12...].reduce(0) { $0 << 8 | UInt32($1) }) }
        return .ipv6(bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) })
    }
}
