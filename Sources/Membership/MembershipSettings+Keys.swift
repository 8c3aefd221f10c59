import Mail

extension MembershipSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value(
                "kind", \.kind, .choice,
                "Where `nodes` and `cluster.epochs` come from: this file, or etcd, for which this file has the first ones"
            ),
            .value(
                "cache", \.cache, .pathOfProcess,
                "With etcd: the last membership, for a start while etcd is down; `${NAME}` is the process's name"),
            .section("etcd", \.etcd),
        ]
    }
}

extension EtcdMembershipSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .list("endpoints", \.endpoints, .etcdEndpoint, "The members of etcd, which are asked in turn"),
            .value(
                "prefix", \.prefix, .optional(.etcdPrefix, "`/hauberk/` and `cluster.name`"),
                "What the cluster's keys in etcd begin with"),
            .value(
                "leaseTime", \.leaseTime, .duration(.seconds(2) ... .seconds(3600)),
                "How long a process that died is still listed as alive"),
            .value(
                "timeout", \.timeout, .duration(.milliseconds(100) ... .seconds(60)),
                "How long one member of etcd may take to answer"),
            .value(
                "ca", \.ca, .optional(.path, "none"),
                "The CA of the members' certificates (PEM); the system's own without it"),
            .value(
                "certificate", \.certificate, .optional(.path, "none"), "The certificate that etcd's members see (PEM)"),
            .value("key", \.key, .optional(.path, "none"), "The key of that certificate (PEM)"),
            .value("user", \.user, .optional(.etcdUser, "none"), "The user, where etcd asks for one"),
            .value(
                "passwordFile", \.passwordFile, .optional(.path, "none"),
                "A file with the user's password, which is its first line"),
        ]
    }
}

extension ConfigurationKind where Value == EtcdEndpoint {
    static var etcdEndpoint: Self {
        Self(
            type: "URL", allowed: "a URL such as https://etcd-1.example.test:2379, with its port and without a path",
            parse: { EtcdEndpoint($0) }, print: \.description)
    }
}

extension ConfigurationKind where Value == String {
    static var etcdPrefix: Self {
        Self(
            type: "key",
            allowed: "a key such as /hauberk/mail, of 2 to 200 printable ASCII characters, not ending in /",
            parse: { text in
                let isKey =
                    (2...200).contains(text.utf8.count) && text.hasPrefix("/") && !text.hasSuffix("/")
                    && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
                return isKey ? text : nil
            }, print: { $0 })
    }

    static var etcdUser: Self {
        Self(
            type: "text", allowed: "1 to 200 characters without control characters",
            parse: { text in
                let isUser = (1...200).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
                return isUser ? text : nil
            }, print: { $0 })
    }
}

extension ClusterConfiguration {
    func checkMembership(_ reader: inout ConfigurationReader) {
        let etcd = membership.etcd
        if membership.kind == .etcd, etcd.endpoints.isEmpty {
            reader.problem("membership.kind is etcd, which needs at least one", path: "membership.etcd.endpoints")
        }
        for (index, endpoint) in etcd.endpoints.enumerated() where !endpoint.isTLS && !endpoint.address.isLocal {
            reader.problem(
                "\(endpoint) would be spoken to without TLS: expected https, or a loopback address",
                path: "membership.etcd.endpoints[\(index)]")
        }
        if (etcd.certificate == nil) != (etcd.key == nil) {
            reader.problem("certificate and key belong together", path: "membership.etcd")
        }
        if (etcd.user == nil) != (etcd.passwordFile == nil) {
            reader.problem("user and passwordFile belong together", path: "membership.etcd")
        }
    }
}
