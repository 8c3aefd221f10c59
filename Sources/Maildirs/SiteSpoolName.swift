import Mail

/// The name that a message's file has in a site's spool: its name in the mailbox, and behind it the sites that it has been
/// at, `,P=a+b`.
enum SiteSpoolName {
    private static let pathField = ",P="
    private static let separator = "+"
    private static let comma = UInt8(ascii: ",")
    private static let bytesMax = 255

    /// Sites that would make it too long for a file system are left out, which costs a journey in vain and nothing else.
    static func make(_ fileName: String, at path: SitePath) -> String {
        var name = fileName
        var mark = pathField
        for site in path.sites where name.utf8.count + mark.utf8.count + site.utf8.count <= bytesMax {
            name += mark + site
            mark = separator
        }
        return name
    }

    /// The path that a name tells.
    static func path(in name: [UInt8]) -> SitePath {
        guard let field = fields(of: name).dropFirst().last(where: isPath) else { return .origin }
        return SitePath(String(decoding: field.dropFirst(2), as: UTF8.self).replacing(separator, with: ",")) ?? .origin
    }

    /// The name in the mailbox: without the path, and without flags.
    static func mailboxName(of name: [UInt8]) -> [UInt8] {
        let fields = fields(of: name)
        let kept = fields.prefix(1) + fields.dropFirst().filter { !isPath($0) }
        return Array(kept.joined(separator: CollectionOfOne(comma)))
    }

    /// The stem, which may look like any field, and the fields behind it; without flags.
    private static func fields(of name: [UInt8]) -> [ArraySlice<UInt8>] {
        name.prefix { $0 != UInt8(ascii: ":") }.split(separator: comma, omittingEmptySubsequences: false)
    }

    private static func isPath(_ field: ArraySlice<UInt8>) -> Bool { field.starts(with: "P=".utf8) }
}
