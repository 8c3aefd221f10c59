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

    /// The name in a site's spool of the message that is called `fileName` in its mailbox: it tells the path. Sites that
    /// would make it too long for a file system are left out, which costs a journey in vain and nothing else.
    func fileName(_ fileName: String) -> String {
        var name = fileName
        var mark = Self.pathField
        for site in path.sites where name.utf8.count + mark.utf8.count + site.utf8.count <= Self.fileNameBytesMax {
            name += mark + site
            mark = Self.separator
        }
        return name
    }

    /// The path that a name in a site's spool tells.
    static func path(inFileName name: [UInt8]) -> SitePath {
        guard let field = fields(of: name).dropFirst().last(where: isPath) else { return .origin }
        return SitePath(String(decoding: field.dropFirst(2), as: UTF8.self).replacing(separator, with: ",")) ?? .origin
    }

    /// The name in the mailbox of what is called `fileName` in a site's spool: without the path, and without flags.
    static func mailboxName(ofSpooled fileName: [UInt8]) -> [UInt8] {
        let fields = fields(of: fileName)
        let kept = fields.prefix(1) + fields.dropFirst().filter { !isPath($0) }
        return Array(kept.joined(separator: CollectionOfOne(comma)))
    }

    /// The stem, which may look like any field, and the fields behind it; without flags.
    private static func fields(of name: [UInt8]) -> [ArraySlice<UInt8>] {
        name.prefix { $0 != UInt8(ascii: ":") }.split(separator: comma, omittingEmptySubsequences: false)
    }

    private static func isPath(_ field: ArraySlice<UInt8>) -> Bool { field.starts(with: "P=".utf8) }

    private static let comma = UInt8(ascii: ",")

    private static let pathField = ",P="
    private static let separator = "+"
    private static let fileNameBytesMax = 255
}

extension MaildropSnapshot {
    /// The sites that a message of a site's spool has been at.
    package func sitePath(at index: Int) -> SitePath {
        SiteSpools.path(inFileName: name(at: index))
    }
}
