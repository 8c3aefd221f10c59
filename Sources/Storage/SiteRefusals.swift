import Mail
import Maildirs
import Synchronization

/// What a site does not take for a reason of its own: too large, damaged here, no such account there. It waits on and is tried
/// ever more rarely; meanwhile it is told of once, and shown.
final class SiteRefusals: Sendable {
    private let refused = Mutex<[MailboxKey: Set<SpoolRefusal>]>([:])

    private static let mailboxesMax = 1_000
    private static let perMailboxMax = 1_000

    func known(of key: MailboxKey) -> Set<SpoolRefusal> { refused.withLock { $0[key] ?? [] } }

    /// All that is refused of a mailbox now. What does not fit is told of again.
    func set(_ refusals: [SpoolRefusal], of key: MailboxKey) {
        refused.withLock { refused in
            guard !refusals.isEmpty, refused[key] != nil || refused.count < Self.mailboxesMax else {
                refused[key] = nil
                return
            }
            refused[key] = Set(refusals.prefix(Self.perMailboxMax))
        }
    }

    /// Some of what is refused of a mailbox: what became of the rest is not known.
    func add(_ refusals: [SpoolRefusal], of key: MailboxKey) {
        if refusals.isEmpty { return }
        set(refusals + known(of: key).subtracting(refusals), of: key)
    }

    /// One of them, and how many more there are; nil if there are none.
    var summary: String? {
        refused.withLock { refused in
            let first = refused.min { $0.key.mailbox < $1.key.mailbox }
            guard let first, let one = first.value.min(by: { $0.name < $1.name }) else { return nil }
            let others = refused.reduce(-1) { $0 + $1.value.count }
            let more = others > 0 ? " (and \(others) more)" : ""
            return "\(one.reason): \(one.name) of \(first.key.mailbox)\(more)"
        }
    }
}
