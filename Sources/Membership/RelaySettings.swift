package import Mail

/// Where mail for recipients elsewhere goes: one server, or several that stand for one another. It waits in queues of the
/// cluster until that server takes it.
package struct RelaySettings: Sendable, Equatable {
    package enum MailProtocol: String, Sendable, CaseIterable {
        case smtp, lmtp, qmtp
    }

    package enum TLSMode: String, Sendable, CaseIterable {
        /// Where it is offered, whatever certificate is shown.
        case opportunistic
        case starttls, implicit, none
    }

    /// What makes a queue send.
    package enum Trigger: String, Sendable, CaseIterable {
        /// Whenever something waits.
        case atOnce = "at-once"
        /// All that waits, every `interval`.
        case scheduled
        /// When asked: by `hauberk relay flush`, ETRN (RFC 1985) or a client of `turnFrom`.
        case onRequest = "on-request"
    }

    package var name = ""
    package var domains: [RelayDomain] = []
    /// Empty for a server that is never gone to: it comes and fetches its mail (ATRN, RFC 2645).
    package var addresses: [Endpoint] = []
    package var mailProtocol = MailProtocol.smtp
    package var tls = TLSMode.opportunistic
    package var trust = ServerTrust()
    package var user: String?
    package var passwordFile: String?
    package var connectionsMax = 2
    package var inFlightMax = 512
    /// RFC 5321 §4.5.3.2.6 asks for ten minutes.
    package var timeout = Duration.seconds(600)
    /// Octets a second; 0 for no bound.
    package var rate = 0
    /// Messages a second; 0 for no bound.
    package var messageRate = 0
    package var lifetime = Duration.seconds(7 * 86_400)
    package var trigger = Trigger.atOnce
    package var interval = Duration.seconds(900)
    /// Accounts that may have its mail sent, or fetch it.
    package var users: [EmailAddress] = []
    /// Clients at whose visit its mail is sent, and who may ask for it without a login.
    package var turnFrom: [AddressRange] = []
}

extension RelaySettings {
    /// Whether the server has to prove who it is before it is told anything.
    fileprivate var protectsPassword: Bool {
        switch tls {
        case .starttls, .implicit: true
        case .opportunistic: !trust.isOpen
        case .none: false
        }
    }
}

/// Which recipients' domains a relay is for: one, all below one, or all.
package enum RelayDomain: Hashable, Sendable {
    case domain(String)
    /// Without the dot before it.
    case below(String)
    case all

    /// Takes `example.test`, `.example.test` or `*`.
    init?(_ text: String) {
        if text == "*" {
            self = .all
            return
        }
        let isBelow = text.hasPrefix(".")
        guard let domain = ConfigurationKind<String>.domain.parse(isBelow ? String(text.dropFirst()) : text) else {
            return nil
        }
        self = isBelow ? .below(domain) : .domain(domain)
    }

    var text: String {
        switch self {
        case .domain(let domain): domain
        case .below(let domain): ".\(domain)"
        case .all: "*"
        }
    }
}

/// Which relay mail for a domain takes.
package struct RelayRoutes: Sendable, Equatable {
    private let byDomain: [RelayDomain: Int]
    package let relays: [RelaySettings]

    package init(_ relays: [RelaySettings]) {
        self.relays = relays
        byDomain = Dictionary(
            relays.enumerated().flatMap { index, relay in relay.domains.map { ($0, index) } },
            uniquingKeysWith: { first, _ in first })
    }

    /// The relay that is told the domain, or else the longest domain that this one is below, or else all domains.
    ///
    /// - Parameter isTrusted: whether the client may send to the whole world, not only to the domains that are named.
    package func relay(for domain: String, isTrusted: Bool) -> RelaySettings? {
        if byDomain.isEmpty { return nil }
        if let exact = byDomain[.domain(domain)] { return relays[exact] }
        var rest = Substring(domain)
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if let below = byDomain[.below(String(rest))] { return relays[below] }
        }
        return isTrusted ? byDomain[.all].map { relays[$0] } : nil
    }

    /// The relays that are told a domain, or one below it.
    package func relays(at domain: String) -> [RelaySettings] {
        relays.filter { relay in
            relay.domains.contains { own in
                switch own {
                case .domain(let name), .below(let name): name == domain || name.hasSuffix(".\(domain)")
                case .all: false
                }
            }
        }
    }

    /// The relay of that name.
    package subscript(name: String) -> RelaySettings? { relays.first { $0.name == name } }
}

/// Where notices of mail that could not be delivered go.
package struct BounceSettings: Sendable, Equatable {
    /// Empty for the cluster's own listeners of the service `smtp`.
    package var addresses: [Endpoint] = []
    /// Who gets the notices that could not be delivered themselves; nil for the postmaster of `hostname`.
    package var postmaster: EmailAddress?
}

extension BounceSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .list(
                "addresses", \.addresses, .endpoint,
                "SMTP servers that take notices of mail that could not be relayed; empty for this cluster's `smtp` listeners"
            ),
            .value(
                "postmaster", \.postmaster, .optional(.address, "`postmaster@` and `hostname`"),
                "Who gets notices that could not be delivered themselves"),
        ]
    }
}

extension RelaySettings: ConfigurationSection {
    static var defaults: Self { Self() }
    var listName: String? { name }
    static var keys: [SectionKey<Self>] {
        [
            .value(
                "name", \.name, .name, "The relay's name, in lower case, for ever: its queues have it", required: true),
            .list(
                "domains", \.domains, .relayDomain,
                "Domains of the recipients: `example.test`, `.example.test` for all below it, or `*` for whatever "
                    + "authenticated users and clients of `smtp.relayFrom` send elsewhere"),
            .list(
                "addresses", \.addresses, .endpoint,
                "Servers that take the mail, tried in turn; empty for one that comes and fetches it (ATRN)"),
            .value("protocol", \.mailProtocol, .choice, "What they speak"),
            .value(
                "tls", \.tls, .choice,
                "How TLS begins; `opportunistic` is STARTTLS where it is offered, whatever certificate is shown"),
        ] + ServerTrust.keys(at: \.trust) + [
            .value(
                "user", \.user, .optional(.text, "none"),
                "The user name to log in there with; `tls` must then be starttls or implicit"),
            .value(
                "passwordFile", \.passwordFile, .optional(.path, "none"), "A file with that user's password in one line"
            ),
            .value("connectionsMax", \.connectionsMax, .integer(1...64), "Connections of each storage node to it"),
            .value(
                "inFlightMax", \.inFlightMax, .integer(1...4_096),
                "Messages under way from each storage node at once; how many are depends on what makes it faster"),
            .value(
                "timeout", \.timeout, .duration(.seconds(1) ... .seconds(3600)),
                "How long it may take to answer for a message"),
            .value("rate", \.rate, .size(0...64 << 30), "Octets a second that each storage node sends; 0 for no bound"),
            .value(
                "messageRate", \.messageRate, .integer(0...1_000_000),
                "Messages a second that each storage node sends; 0 for no bound"),
            .value(
                "lifetime", \.lifetime, .duration(.seconds(1) ... .seconds(365 * 86_400)),
                "How long a message is tried before its sender is told that it failed"),
            .value("trigger", \.trigger, .choice, "When mail is sent: when it comes, every `interval`, or when asked"),
            .value(
                "interval", \.interval, .duration(.seconds(1) ... .seconds(7 * 86_400)),
                "Between two times, if `trigger` is `scheduled`"),
            .list(
                "users", \.users, .address,
                "Accounts that may ask for its mail: to be sent (ETRN), or without `addresses` on their connection (ATRN)"
            ),
            .list(
                "turnFrom", \.turnFrom, .addressRange,
                "Clients that may ask for it without a login (ETRN), and at whose visit it is sent in any case"),
        ]
    }
}

extension ConfigurationKind where Value == RelayDomain {
    static var relayDomain: Self {
        Self(
            type: "domain",
            allowed: "a domain name such as example.test, .example.test for all below it, or \"*\" for all",
            parse: { RelayDomain($0) }, print: { $0.text })
    }
}

extension ConfigurationKind where Value == EmailAddress {
    static var address: Self {
        Self(
            type: "address", allowed: "an address such as alice@example.test", parse: { EmailAddress($0) },
            print: { "\($0)" })
    }
}

extension ClusterConfiguration {
    func checkRelays(_ reader: inout ConfigurationReader) {
        var places: [String: Int] = [:]
        var domains: [RelayDomain: Int] = [:]
        for (index, relay) in relays.enumerated() {
            let path = "relays[\(index)]"
            if relay.name != relay.name.lowercased() || relay.name.hasSuffix(".") || relay.name.contains("..") {
                reader.problem("a relay's name is in lower case, and a part of a domain name", path: "\(path).name")
            }
            if let other = places[relay.name] {
                reader.problem("\"\(relay.name)\" is the name of relays[\(other)] already", path: "\(path).name")
            }
            places[relay.name] = index
            if relay.domains.isEmpty {
                reader.problem("a relay needs the domains that it is for", path: "\(path).domains")
            }
            for (place, domain) in relay.domains.enumerated() {
                if let other = domains[domain] {
                    reader.problem(
                        "\(domain.text) is relays[\(other)]'s already", path: "\(path).domains[\(place)]")
                }
                domains[domain] = index
                if RelayQueue.isReserved(domain.text) {
                    reader.problem(
                        RelayQueue.reservation(of: domain.text), path: "\(path).domains[\(place)]")
                }
            }
            relay.trust.check(path, &reader)
            if (relay.user == nil) != (relay.passwordFile == nil) {
                reader.problem("user and passwordFile belong together", path: path)
            }
            if relay.user != nil, relay.mailProtocol != .qmtp, !relay.protectsPassword {
                reader.problem(
                    "a password is only told to a server that is checked: expected tls: starttls or implicit",
                    path: "\(path).tls")
            }
            checkQMTP(relay, path, &reader)
            if relay.addresses.isEmpty, relay.users.isEmpty {
                reader.problem(
                    "nobody gets this mail: expected addresses to send it to, or users who fetch it", path: path)
            }
        }
        if !relays.isEmpty, bounceAddresses.isEmpty {
            reader.problem(
                "there is nobody to take notices of mail that cannot be relayed: expected SMTP servers, or a listener "
                    + "of the service smtp with an address that storage nodes can connect to", path: "bounces.addresses"
            )
        }
    }

    private func checkQMTP(_ relay: RelaySettings, _ path: String, _ reader: inout ConfigurationReader) {
        guard relay.mailProtocol == .qmtp else { return }
        if relay.tls != .none { reader.problem("QMTP has no TLS: expected tls: none", path: "\(path).tls") }
        if relay.user != nil { reader.problem("QMTP has no login", path: "\(path).user") }
    }

    /// Where storage nodes hand in notices of mail that could not be relayed.
    package var bounceAddresses: [Endpoint] {
        if !bounces.addresses.isEmpty { return bounces.addresses }
        return frontends.flatMap(\.listeners).filter { $0.service == .smtp && $0.proxyFrom.isEmpty }.map(\.address)
            .filter { address in
                guard case .tcp(let host, let port) = address else { return true }
                return port != 0 && host != "0.0.0.0" && host != "::"
            }
    }

    /// Who gets notices that could not be delivered themselves.
    package var bouncePostmaster: EmailAddress {
        bounces.postmaster ?? EmailAddress(local: "postmaster", domain: hostname)
    }
}

extension RelayQueue {
    /// What is wrong with a domain that `isReserved`.
    static func reservation(of domain: String) -> String {
        "\(domain) is where mail waits for relays: expected another domain"
    }
}
