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
    }

    private(set) var pages: [Page]
    private var mailboxes: [String: [Int]] = [:]

    init(mailboxes: Int) { pages = Array(repeating: Page(), count: mailboxes) }

    mutating func minted(_ identity: String, _ message: OutgoingMessage) {
        mailboxes[identity] = message.mailboxes
        for mailbox in message.mailboxes { pages[mailbox].minted[identity] = message.text }
    }

    mutating func acknowledged(_ identity: String) {
        for mailbox in mailboxes[identity] ?? [] { pages[mailbox].acknowledged.insert(identity) }
    }

    mutating func deleting(_ identities: [String], of mailbox: Int) { pages[mailbox].deleting.formUnion(identities) }

    mutating func deleted(_ identities: [String], of mailbox: Int) { pages[mailbox].deleted.formUnion(identities) }

    /// What a reader who sees these messages could complain of.
    func complaints(_ mailbox: Int, shows messages: [String]) -> [Complaint] {
        let page = pages[mailbox]
        let shown = Set(messages)
        var complaints: [Complaint] = []
        if shown.count != messages.count { complaints.append(Complaint(.twice, messages[0], mailbox)) }
        for message in messages {
            if page.minted[message] == nil { complaints.append(Complaint(.invented, message, mailbox)) }
            if page.deleted.contains(message) { complaints.append(Complaint(.resurrected, message, mailbox)) }
        }
        let lost = page.acknowledged.subtracting(page.deleting).subtracting(shown)
        return complaints + lost.sorted().map { Complaint(.lost, $0, mailbox) }
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
