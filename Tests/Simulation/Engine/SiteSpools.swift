import Mail

/// The spools of one mailbox, on one node, of the sites that are to have what comes into it.
struct SiteSpools {
    private let mailbox: Int
    private let sites: [Int]
    let folders: [SimulatedMaildir]
    let path: SitePath

    /// None.
    init() { (mailbox, sites, folders, path) = (0, [], [], .origin) }

    init(_ node: StorageNode, _ mailbox: Int, at path: SitePath?) {
        self.mailbox = mailbox
        self.path = path ?? .origin
        sites = node.site.targets(at: path)
        folders = sites.map { node.disk.maildir(mailbox, forSite: $0) }
    }

    /// Something waits there now.
    func note(_ node: StorageNode) {
        for site in sites { node.spooled[site, default: []].insert(mailbox) }
    }
}
