import Mail
import Synchronization

/// The mailboxes that sessions of this process have open: what they show must not be given up under them.
final class OpenMailboxes: Sendable {
    private let counts = Mutex<[MailboxName: Int]>([:])

    func opened(_ mailbox: MailboxName) { counts.withLock { $0[mailbox, default: 0] += 1 } }

    func closed(_ mailbox: MailboxName) {
        counts.withLock { counts in
            guard let count = counts[mailbox] else { return }
            counts[mailbox] = count > 1 ? count - 1 : nil
        }
    }

    /// Opens a mailbox that only one session may have; false if another has it.
    func open(_ mailbox: MailboxName) -> Bool {
        counts.withLock { counts in
            guard counts[mailbox] == nil else { return false }
            counts[mailbox] = 1
            return true
        }
    }

    func isOpen(_ mailbox: MailboxName) -> Bool { counts.withLock { $0[mailbox] != nil } }
}
