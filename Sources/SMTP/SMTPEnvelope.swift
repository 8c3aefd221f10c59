package import Mail
package import SASL

/// One transaction on one connection.
package struct SMTPTransactionID: Hashable, Sendable, Comparable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }

    package static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// A recipient that a transaction names.
package struct SMTPRecipient: Hashable, Sendable {
    package var address: EmailAddress
    /// The mailbox, where the client names it (the cluster's own service).
    package var mailbox: MailboxName?
    /// The storage node that the copy is kept for until it takes it (handoff); nil for the mailbox itself.
    package var heldFor: String?

    package init(address: EmailAddress, mailbox: MailboxName? = nil, heldFor: String? = nil) {
        self.address = address
        self.mailbox = mailbox
        self.heldFor = heldFor
    }
}

/// What a transaction of the cluster's own service carries (`XCONTENT`).
package enum HopContent: String, Hashable, Sendable, CaseIterable {
    /// A message; the node puts `Return-Path:` and, unless the copies are alike, `Delivered-To:` on top.
    case message
    /// A message as it lies in another copy of the mailbox; it is kept as it is.
    case copy
    /// A tombstone: identities of deleted messages, one a line.
    case tombstone
    /// No text: the node has the message or tombstone of that name, and is to keep it for another node too.
    case hold
    /// No text: what waits of that name on the node need not wait any more, another node has handed it over.
    case release
    /// A question, answered by what becomes of the transaction: whether the mailbox has this digest.
    case digest
    /// A question about names, one a line: whether the mailbox has or has deleted all of these.
    case offer

    /// Whether nothing is to be kept of it.
    package var isQuestion: Bool { self == .digest || self == .offer }

    /// Whether another site may send it.
    package var comesFromSites: Bool { self == .copy || self == .tombstone || isQuestion }
}

/// What a driver is asked at RCPT: may mail go there?
package struct SMTPRecipientQuery: Equatable, Sendable {
    package var transaction: SMTPTransactionID
    package var address: EmailAddress
    package var sender: ReversePath
    /// Who the client is, if it has authenticated: others may send to our own addresses only.
    package var user: AuthenticatedUser?
    /// The mailbox of that address at the site that sends, if a site does: it must be the same one here.
    package var mailbox: MailboxName?

    package init(
        transaction: SMTPTransactionID, address: EmailAddress, sender: ReversePath, user: AuthenticatedUser?,
        mailbox: MailboxName? = nil
    ) {
        self.transaction = transaction
        self.address = address
        self.sender = sender
        self.user = user
        self.mailbox = mailbox
    }
}

/// A message's envelope (RFC 5321 §2.3.1), and all that its `Received:` field tells of how it came.
package struct SMTPEnvelope: Equatable, Sendable {
    package var id: SMTPTransactionID
    package var sender: ReversePath
    /// The accepted ones, in their order.
    package var recipients: [SMTPRecipient] = []
    /// What MAIL said with SIZE.
    package var declaredBytes: Int?
    package var body: SMTPBodyKind?
    /// Whether MAIL said SMTPUTF8 (RFC 6531).
    package var utf8 = false
    /// The message's name, where the client gives it (the cluster's own service).
    package var name: MessageIdentity?
    /// Whether this name may have been delivered before, so that the node looks before it stores.
    package var isRepeat = false
    /// Whether no copy has a `Delivered-To:`, so that all are the same (the cluster's own service).
    package var isAlike = false
    /// What the text is (the cluster's own service, and what comes from other sites).
    package var content = HopContent.message
    /// The sites that it has been at; nil for what is not to be passed on to sites.
    package var sitePath: SitePath?
    package var user: AuthenticatedUser?
    package var trace: SMTPTrace

    package init(id: SMTPTransactionID, sender: ReversePath, trace: SMTPTrace) {
        self.id = id
        self.sender = sender
        self.trace = trace
    }
}

/// What is known of a whole message that has been read.
package struct SMTPMessageSummary: Equatable, Sendable {
    /// Octets that `body` actions gave, without the CRLF that is to be added.
    package var byteCount: Int
    /// Whether the message's last line lacks its CRLF (possible by BDAT): the driver adds it, because POP3 could not
    /// carry the message otherwise.
    package var appendLineEnd: Bool
    package var header: HeaderScanner.Findings

    package init(byteCount: Int, appendLineEnd: Bool, header: HeaderScanner.Findings) {
        self.byteCount = byteCount
        self.appendLineEnd = appendLineEnd
        self.header = header
    }
}
