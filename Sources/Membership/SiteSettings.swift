package import Mail

/// Another site, which is a cluster of its own: messages and deletions go there, and come from there, so that both hold the
/// same mailboxes.
package struct SiteSettings: Sendable, Equatable {
    package enum TLSMode: String, Sendable, CaseIterable {
        case starttls, implicit, none
    }

    package var name = ""
    /// Its frontends' submission listeners; empty for a site that comes to us and is never gone to.
    package var addresses: [Endpoint] = []
    /// Empty for all.
    package var domains: [String] = []
    package var secretFile = ""
    package var tls = TLSMode.starttls
    package var trust = ServerTrust()
    package var connectionsMax = 2
    package var inFlightPerConnectionMax = 256
    package var timeout = Duration.seconds(60)
    /// Octets a second; 0 for no bound.
    package var rate = 0
    /// 0 for no bound.
    package var spoolMessagesMax = 10_000_000

    /// Whether mailboxes of a domain are the same at both sites.
    package func shares(_ domain: String) -> Bool { domains.isEmpty || domains.contains(domain) }
}

extension SiteSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    var listName: String? { name }
    static var keys: [SectionKey<Self>] {
        [
            .value(
                "name", \.name, .name,
                "Another site: the `cluster.name` of a cluster that is to hold the same mailboxes", required: true),
            .list(
                "addresses", \.addresses, .endpoint,
                "Its submission listeners, tried in turn; empty for a site that comes to us and is never gone to"),
            .list(
                "domains", \.domains, .domain,
                "Domains whose messages and deletions go there and may come from there; empty for all"),
            .value(
                "secretFile", \.secretFile, .path,
                "A file with the secret that both sites share, in one line of at least 16 characters", required: true),
            .value("tls", \.tls, .choice, "How TLS begins; `none` between loopback addresses only"),
        ] + ServerTrust.keys(at: \.trust) + [
            .value(
                "connectionsMax", \.connectionsMax, .integer(1...64), "Connections of each storage node to it"),
            .value(
                "inFlightPerConnectionMax", \.inFlightPerConnectionMax, .integer(1...4_096),
                "Messages pipelined on one of these"),
            .value(
                "timeout", \.timeout, .duration(.seconds(1) ... .seconds(3600)),
                "How long it may take to answer for a message"),
            .value(
                "rate", \.rate, .size(0...64 << 30), "Octets a second that each storage node sends it; 0 for no bound"),
            .value(
                "spoolMessagesMax", \.spoolMessagesMax, .integer(0...1_000_000_000),
                "Messages and deletions that may wait for it on each storage node, at 80 % with a warning; what comes "
                    + "beyond that is delivered and does not wait, so that the site needs `hauberk site sync`; 0 for no "
                    + "bound"),
        ]
    }
}

extension ClusterConfiguration {
    func checkSites(_ reader: inout ConfigurationReader) {
        var places: [String: Int] = [:]
        for (index, site) in sites.enumerated() {
            if site.name == cluster.name {
                reader.problem("\"\(site.name)\" is this site's own name (cluster.name)", path: "sites[\(index)].name")
            }
            if let other = places[site.name] {
                reader.problem("\"\(site.name)\" is the name of sites[\(other)] already", path: "sites[\(index)].name")
            }
            places[site.name] = index
            site.trust.check("sites[\(index)]", &reader)
            for (place, domain) in site.domains.enumerated() where RelayQueue.isReserved(domain) {
                reader.problem(RelayQueue.reservation(of: domain), path: "sites[\(index)].domains[\(place)]")
            }
            for (place, address) in site.addresses.enumerated() where site.tls == .none && !address.isLocal {
                reader.problem(
                    "\(address) would be spoken to without TLS: expected a loopback address or a Unix socket, or "
                        + "tls: starttls", path: "sites[\(index)].addresses[\(place)]")
            }
        }
    }
}
