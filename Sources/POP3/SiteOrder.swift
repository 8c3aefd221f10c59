package import Mail

/// What an operator tells a node about another site: `XSITE site ORDER`.
package enum SiteOrder: Hashable, Sendable {
    /// Nothing is to be carried there; what comes for it waits.
    case pause
    case resume
    /// A comparison with the site begins, under this name.
    case beginSync(String)
    /// The next mailboxes of a partition are to be compared, those behind the one that is named; what the site lacks is to
    /// wait for it.
    case sync(partition: Int, after: MailboxName?)
    /// The comparison of this name is over, and was complete.
    case endSync(String)

    /// What stands behind the site's name.
    var text: String {
        switch self {
        case .pause: "PAUSE"
        case .resume: "RESUME"
        case .beginSync(let token): "BEGIN \(token)"
        case .sync(let partition, let last):
            "SYNC \(partition)" + (last.map { " " + Self.coded($0) } ?? "")
        case .endSync(let token): "END \(token)"
        }
    }

    private static func coded(_ mailbox: MailboxName) -> String {
        String(decoding: Xtext.encode(mailbox.description), as: UTF8.self)
    }

    /// Nil for what is none.
    init?(_ arguments: inout POP3Arguments) {
        guard let word = arguments.word().flatMap(POP3Arguments.string) else { return nil }
        switch word {
        case "PAUSE": self = .pause
        case "RESUME": self = .resume
        case "BEGIN", "END":
            guard let token = arguments.word().flatMap(POP3Arguments.string), SitePath.isName(token) else { return nil }
            self = word == "BEGIN" ? .beginSync(token) : .endSync(token)
        case "SYNC":
            guard let partition = arguments.number() else { return nil }
            let last = arguments.word().map { Xtext.decode($0).flatMap { MailboxName($0) } }
            if case .some(nil) = last { return nil }
            self = .sync(partition: partition, after: last ?? nil)
        default: return nil
        }
        guard arguments.isEmpty else { return nil }
    }
}
