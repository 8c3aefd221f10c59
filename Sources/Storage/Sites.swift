import Mail
import Maildirs
import Membership

/// The other sites, as this node's deliveries and deletions concern them.
struct Sites: Sendable {
    /// This site's own name.
    let own: String
    let peers: [SiteSettings]

    /// What stands before a site's name in `XFOR`; no storage node's name has a colon.
    static let mark = "site:"

    init(_ configuration: ClusterConfiguration) {
        own = configuration.cluster.name
        peers = configuration.sites.filter { !$0.addresses.isEmpty }
    }

    /// How many messages and deletions may wait for each.
    var spoolFilesMax: [SpoolTarget: Int] {
        let bounds = peers.compactMap { site in SpoolTarget(site: site.name).map { ($0, site.spoolMessagesMax) } }
        return Dictionary(bounds) { first, _ in first }
    }

    /// Who is to have what comes into a mailbox; nobody, if it is nothing new to this site (`path` is nil).
    func spools(_ mailbox: MailboxName, at path: SitePath?) -> SiteSpools {
        guard let path, !peers.isEmpty, RelayQueue(mailbox) == nil else { return SiteSpools(path: path ?? .origin) }
        let targets = peers.lazy.filter { $0.shares(mailbox.domain) && !path.contains($0.name) }.compactMap {
            SpoolTarget(site: $0.name)
        }
        return SiteSpools(Array(targets), path: path)
    }
}
