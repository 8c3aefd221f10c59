package import Mail

/// The other sites that a message or a tombstone is kept for, and where it has been already.
package struct SiteSpools: Hashable, Sendable {
    package let targets: [SpoolTarget]
    package let path: SitePath

    package init(_ targets: [SpoolTarget] = [], path: SitePath = .origin) {
        self.targets = targets
        self.path = path
    }

    package var isEmpty: Bool { targets.isEmpty }

    func folders(of key: MailboxKey) -> [MailboxFolder] {
        targets.map { MailboxFolder(key.mailbox, partition: key.partition, heldFor: $0) }
    }

    /// The name in a site's spool of the message that is called `fileName` in its mailbox.
    func fileName(_ fileName: String) -> String { SiteSpoolName.make(fileName, at: path) }
}

extension MaildropSnapshot {
    /// The sites that a message of a site's spool has been at.
    package func sitePath(at index: Int) -> SitePath { SiteSpoolName.path(in: name(at: index)) }
}
