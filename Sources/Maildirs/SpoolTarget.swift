import Mail

/// What a store keeps mail for until it takes it: another storage node of the cluster (handoff), or another site. Its name
/// is one component of a path.
package struct SpoolTarget: Hashable, Sendable {
    package enum Kind: String, Sendable {
        case node = "handoff"
        case site
    }

    package let kind: Kind
    package let name: String

    /// Nil unless the name is 1 to 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit.
    package init?(node name: some StringProtocol) { self.init(.node, name) }

    /// The same of another site.
    package init?(site name: some StringProtocol) { self.init(.site, name) }

    /// Takes the name of a folder in `spool/`.
    init?(folder: String) {
        guard let hyphen = folder.firstIndex(of: "-"), let kind = Kind(rawValue: String(folder[..<hyphen])) else {
            return nil
        }
        self.init(kind, folder[folder.index(after: hyphen)...])
    }

    private init?(_ kind: Kind, _ name: some StringProtocol) {
        guard SitePath.isName(name) else { return nil }
        self.kind = kind
        self.name = String(name)
    }

    /// Where the copies lie, in `spool/`.
    var folder: String { "\(kind.rawValue)-\(name)" }
}

extension SpoolTarget: CustomStringConvertible {
    package var description: String { kind == .node ? name : "site \(name)" }
}
