/// A mailbox in which messages for recipients elsewhere wait for a relay: `<number>@<relay>.relay.invalid`.
///
/// It is kept like every other mailbox, so its owners, copies and deletions are theirs. Nobody can have such an address
/// (RFC 2606 §2), and no two recipients of one message share a queue, because a mailbox has a message once.
package struct RelayQueue: Hashable, Sendable {
    /// The relay's name, in lower case.
    package let relay: String
    /// 0 ..< `count`.
    package let number: Int

    /// Queues of each relay: the most recipients elsewhere that a message may have. Part of the stores' layout.
    package static let count = 128

    private static let domainSuffix = ".relay.invalid"

    /// - Parameter relay: a name that is a domain's label or several of them.
    package init(relay: String, number: Int) {
        precondition((0..<Self.count).contains(number), "a queue numbered \(number)")
        self.relay = relay.lowercased()
        self.number = number
    }

    /// Nil for a mailbox that is no queue.
    package init?(_ mailbox: MailboxName) {
        guard mailbox.domain.utf8.count > Self.domainSuffix.utf8.count, mailbox.domain.hasSuffix(Self.domainSuffix),
            let number = Int(mailbox.local), (0..<Self.count).contains(number), String(number) == mailbox.local
        else { return nil }
        relay = String(mailbox.domain.dropLast(Self.domainSuffix.count))
        self.number = number
    }

    /// Whether a domain's mailboxes may be queues, so that it is nobody else's. In lower case or not.
    package static func isReserved(_ domain: String) -> Bool { domain.lowercased().hasSuffix(domainSuffix) }

    package var mailbox: MailboxName {
        guard let name = MailboxName(local: String(number), domain: relay + Self.domainSuffix) else {
            preconditionFailure("a relay named \(relay)")
        }
        return name
    }
}
