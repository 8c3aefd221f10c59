import Cluster

/// What clients did and were told: what must be there in the end, what may be, and what must not.
struct Ledger {
    /// What is known of one mailbox.
    struct Page {
        /// Every identity that a frontend gave, with the text that it stands for.
        var minted: [String: Int] = [:]
        var acknowledged: Set<String> = []
        /// Somebody asked for their deletion, and may not have heard what came of it.
        var deleting: Set<String> = []
        /// +OK was said for their deletion.
        var deleted: Set<String> = []
        /// By the number of the site that said it.
        var acknowledgedAt: [Set<String>]
        var deletedAt: [Set<String>]

        init(sites: Int) {
            acknowledgedAt = Array(repeating: [], count: sites)
            deletedAt = acknowledgedAt
        }
    }

    private(set) var pages: [Page]
    private var mailboxes: [String: [Int]] = [:]

    init(mailboxes: Int, sites: Int) { pages = Array(repeating: Page(sites: sites), count: mailboxes) }

    mutating func minted(_ identity: String, _ message: OutgoingMessage) {
        mailboxes[identity] = message.mailboxes
        for mailbox in message.mailboxes { pages[mailbox].minted[identity] = message.text }
    }

    mutating func acknowledged(_ identity: String, at site: Int) {
        for mailbox in mailboxes[identity] ?? [] {
            pages[mailbox].acknowledged.insert(identity)
            pages[mailbox].acknowledgedAt[site].insert(identity)
        }
    }

    mutating func deleting(_ identities: [String], of mailbox: Int) { pages[mailbox].deleting.formUnion(identities) }

    mutating func deleted(_ identities: [String], of mailbox: Int, at site: Int) {
        pages[mailbox].deleted.formUnion(identities)
        pages[mailbox].deletedAt[site].formUnion(identities)
    }

    /// What a reader who sees these messages could complain of.
    ///
    /// - Parameter site: whose promises count; nil for those of all sites.
    func complaints(_ mailbox: Int, shows messages: [String], at site: Int? = nil) -> [Complaint] {
        let page = pages[mailbox]
        let deleted = site.map { page.deletedAt[$0] } ?? page.deleted
        let acknowledged = site.map { page.acknowledgedAt[$0] } ?? page.acknowledged
        let shown = Set(messages)
        var complaints: [Complaint] = []
        if shown.count != messages.count { complaints.append(Complaint(.twice, messages[0], mailbox)) }
        for message in messages {
            if page.minted[message] == nil { complaints.append(Complaint(.invented, message, mailbox)) }
            let isDeleted = deleted.contains { $0 == message || page.isResent($0, message) }
            if isDeleted { complaints.append(Complaint(.resurrected, message, mailbox)) }
            if messages.contains(where: { $0 < message && page.isResent($0, message) }) {
                complaints.append(Complaint(.twice, message, mailbox))
            }
        }
        let lost = acknowledged.subtracting(page.deleting).subtracting(shown).filter { message in
            // It may have come after one that the client heard nothing of, and is hidden behind that or deleted with it.
            page.run(of: message).isDisjoint(with: shown.union(page.deleting))
        }
        return complaints + lost.sorted().map { Complaint(.lost, $0, mailbox) }
    }

    func text(of complaint: Complaint) -> Int? { pages[complaint.mailbox].minted[complaint.message] }

    /// Whether it is the name of a message that a frontend of that site gave.
    func isMinted(_ name: String, at site: String) -> Bool {
        mailboxes[name] != nil && MintedName.origin(of: name).hasPrefix(site)
    }

    /// How many of these are second copies of one text.
    func doubles(_ mailbox: Int, among messages: [String]) -> Int {
        messages.count - Set(messages.compactMap { pages[mailbox].minted[$0] }).count
    }
}

/// What is wrong with a message of a mailbox.
struct Complaint: CustomStringConvertible {
    enum Kind { case lost, resurrected, twice, invented, damaged }

    let kind: Kind
    let message: String
    let mailbox: Int

    init(_ kind: Kind, _ message: String, _ mailbox: Int) {
        (self.kind, self.message, self.mailbox) = (kind, message, mailbox)
    }

    var description: String { "\(kind) in mailbox \(mailbox): \(message)" }
}

extension Ledger.Page {
    /// Whether these are two arrivals of one text, near enough to be taken for that.
    func isResent(_ one: String, _ other: String) -> Bool {
        guard one != other, let text = minted[one], text == minted[other], let first = MintedName.seconds(of: one),
            let second = MintedName.seconds(of: other)
        else { return false }
        return World.resendWindow.reaches(from: first, to: second)
    }

    /// All arrivals of a message's text that lead to it, each near the next.
    func run(of message: String) -> Set<String> {
        var run: Set<String> = [message]
        var rest = Set(minted.keys).subtracting(run)
        while case let near = rest.filter({ next in run.contains { isResent($0, next) } }), !near.isEmpty {
            run.formUnion(near)
            rest.subtract(near)
        }
        return run
    }
}
