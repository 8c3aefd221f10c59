/// The disk of a storage node: its mailboxes, what waits for others, and what is wrong with it.
final class SimulatedDisk {
    private var mail: [Int: SimulatedMaildir] = [:]
    /// By the node that it waits for, then by mailbox.
    private var spool: [Int: [Int: SimulatedMaildir]] = [:]
    /// What other sites are to have, by the site's number, then by mailbox.
    private var sites: [Int: [Int: SimulatedMaildir]] = [:]
    /// Files that still fit on it; nil when it is not full.
    var room: Int?
    /// How probable it is that a sync fails.
    var syncFailure = 0.0
    var slowness: Int64 = 1

    func maildir(_ mailbox: Int, heldFor target: Int?) -> SimulatedMaildir {
        let found = if let target { spool[target]?[mailbox] } else { mail[mailbox] }
        if let found { return found }
        let fresh = SimulatedMaildir()
        if let target { spool[target, default: [:]][mailbox] = fresh } else { mail[mailbox] = fresh }
        return fresh
    }

    func maildir(_ mailbox: Int, forSite site: Int) -> SimulatedMaildir {
        if let found = sites[site]?[mailbox] { return found }
        let fresh = SimulatedMaildir()
        sites[site, default: [:]][mailbox] = fresh
        return fresh
    }

    /// The mailboxes in which something waits for a site.
    func mailboxes(forSite site: Int) -> Set<Int> {
        Set((sites[site] ?? [:]).filter { !$0.value.isEmpty }.keys)
    }

    /// The nodes that something may wait for, in their order.
    var targets: [Int] { spool.keys.sorted() }

    /// The mailboxes in which something waits for a node, in their order.
    func mailboxes(heldFor target: Int) -> [Int] {
        (spool[target] ?? [:]).filter { !$0.value.isEmpty }.keys.sorted()
    }

    func hasHeld(in mailbox: Int) -> Bool { targets.contains { spool[$0]?[mailbox]?.isEmpty == false } }

    var hasHeld: Bool { targets.contains { !mailboxes(heldFor: $0).isEmpty } }

    /// Whether one more file fits.
    func takeRoom() -> Bool {
        guard let room else { return true }
        guard room > 0 else { return false }
        self.room = room - 1
        return true
    }

    func giveRoom() { room = room.map { $0 + 1 } }

    func powerCut(_ random: inout Randomness) {
        for mailbox in mail.keys.sorted() { mail[mailbox]?.powerCut(&random) }
        for target in targets {
            for mailbox in (spool[target] ?? [:]).keys.sorted() { spool[target]?[mailbox]?.powerCut(&random) }
        }
        for site in sites.keys.sorted() {
            for mailbox in (sites[site] ?? [:]).keys.sorted() { sites[site]?[mailbox]?.powerCut(&random) }
        }
    }

    /// It is replaced by an empty one.
    func lose() {
        mail = [:]
        spool = [:]
        sites = [:]
        cure()
    }

    func cure() {
        room = nil
        syncFailure = 0
        slowness = 1
    }
}
