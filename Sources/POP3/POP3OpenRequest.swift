package import Mail

/// Which maildrop is to be opened, and what the client chose before (RFC 6856 §2, §3).
package struct POP3OpenRequest: Sendable, Hashable {
    package var mailbox: MailboxName
    /// Who logged in. Nil on a node, which is told of mailboxes only.
    package var address: EmailAddress?
    /// The client gave UTF8.
    package var utf8: Bool
    /// The language that the client gave by LANG.
    package var language: String?
    /// On a node: its own copy as it is, without asking the other replicas first.
    package var isLocal = false
    /// On a node: who opens it takes answers ahead of their questions, as notes beside the session's stream.
    package var takesAhead = false

    package init(mailbox: MailboxName, address: EmailAddress? = nil, utf8: Bool = false, language: String? = nil) {
        self.mailbox = mailbox
        self.address = address
        self.utf8 = utf8
        self.language = language
    }
}
