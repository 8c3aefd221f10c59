import Cluster
import Mail

/// Compares a mailbox on one of its owners with another site, as the real node's `SiteSync` does: what the site lacks comes to
/// wait for it.
struct SiteComparison {
    private let node: StorageNode
    private let mailbox: Int
    private let peer: Site

    init(_ node: StorageNode, _ mailbox: Int, with peer: Site) {
        (self.node, self.mailbox, self.peer) = (node, mailbox, peer)
    }

    func run() {
        let listing = node.list(mailbox)
        let own = node.disk.maildir(mailbox, heldFor: nil)
        let spool = node.disk.maildir(mailbox, forSite: peer.number)
        let tombstones = node.world.bug == .comparedWithoutDeletions ? [] : listing.tombstones
        for (name, isLacking) in zip(tombstones, lacks(tombstones)) where isLacking {
            if let file = own.gone.entries[name] { spool.gone.link(name, file) }
        }
        for (name, isLacking) in zip(listing.messages, lacks(listing.messages)) where isLacking {
            if let file = own.new.entries[name] { spool.new.link(SpooledName.make(name, .origin), file) }
        }
        spool.syncAll()
        node.spooled[peer.number, default: []].insert(mailbox)
    }

    private func lacks(_ names: [String]) -> [Bool] {
        let owners = peer.owners(of: mailbox)
        var answers = SiteAnswers(owners: owners.count, quorum: node.scenario.quorum, count: names.count)
        for owner in owners {
            let maildir = peer.nodes[owner].disk.maildir(mailbox, heldFor: nil)
            let lacks = names.map { maildir.gone.entries[$0] == nil && !maildir.knows($0, text: nil) }
            answers.answered(SiteAnswer(lacks: lacks).verdict)
        }
        return answers.verdict.flatMap { SiteAnswer($0, count: names.count) }?.lacks ?? []
    }
}
