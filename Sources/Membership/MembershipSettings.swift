package import Mail

/// Where the storage nodes and the ring's history come from.
package struct MembershipSettings: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        /// The file's own `nodes` and `cluster.epochs`.
        case `static`
        /// etcd; those of the file are the first ones.
        case etcd
    }

    package var kind = Kind.static
    /// `${NAME}` stands for the process's name.
    package var cache = "membership-${NAME}.yaml"
    package var etcd = EtcdMembershipSettings()
}

/// How etcd is reached, and what the cluster has there.
package struct EtcdMembershipSettings: Sendable, Equatable {
    package var endpoints: [EtcdEndpoint] = []
    /// As `/hauberk/` and the cluster's name, unless it is given.
    package var prefix: String?
    package var leaseTime = Duration.seconds(10)
    package var timeout = Duration.seconds(5)
    package var ca: String?
    package var certificate: String?
    package var key: String?
    package var user: String?
    package var passwordFile: String?
}

/// Where a member of etcd takes requests: `https://etcd-1.example:2379`.
package struct EtcdEndpoint: Sendable, Hashable, CustomStringConvertible {
    package let isTLS: Bool
    package let address: Endpoint

    /// Nil unless the text is a scheme, a host and a port, and nothing else.
    package init?(_ text: String) {
        let schemes = [("https://", true), ("http://", false)]
        guard let (scheme, isTLS) = schemes.first(where: { text.hasPrefix($0.0) }),
            let address = Endpoint(String(text.dropFirst(scheme.count))), case .tcp(let host, 1...) = address,
            host.utf8.allSatisfy(Self.isHostOctet)
        else { return nil }
        self.isTLS = isTLS
        self.address = address
    }

    package var description: String { "\(isTLS ? "https" : "http")://\(address)" }

    /// Letters, digits, '-', '.' and, in an IPv6 address, ':'.
    private static func isHostOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case 0x30...0x3A, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: false
        }
    }
}

extension ClusterConfiguration {
    /// What all keys of this cluster in etcd begin with.
    package var membershipPrefix: String { membership.etcd.prefix ?? "/hauberk/\(cluster.name)" }

    /// The file in which a process keeps the last membership.
    package func membershipCache(of name: String) -> String { resolved(membership.cache, name: name) }
}
