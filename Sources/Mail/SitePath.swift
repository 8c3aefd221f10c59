/// The sites that a message or a deletion has been at, its origin first: it is not passed on to one of them, so that loops
/// among sites that replicate to each other end.
package struct SitePath: Hashable, Sendable {
    package private(set) var sites: [String]

    private static let sitesMax = 32
    private static let nameBytesMax = 64
    /// What stands for no site at all; no name begins so.
    private static let none = "-"

    /// The path of what comes from a client.
    package static let origin = SitePath(sites: [])

    private init(sites: [String]) { self.sites = sites }

    /// Takes `text` back. Nil unless it is "-" or at most 32 names, separated by commas.
    package init?(_ text: some StringProtocol) {
        if text == Self.none {
            self = .origin
            return
        }
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
        guard names.count <= Self.sitesMax, names.allSatisfy({ Self.isName($0) }) else { return nil }
        sites = names
    }

    /// As it crosses the wire.
    package var text: String { sites.isEmpty ? Self.none : sites.joined(separator: ",") }

    package func contains(_ site: String) -> Bool { sites.contains(site) }

    /// The path once it has been at `site` too. Of too many sites the first ones are forgotten.
    package func adding(_ site: String) -> SitePath {
        if sites.last == site { return self }
        return SitePath(sites: (sites + [site]).suffix(Self.sitesMax))
    }

    /// Whether a site can be called so: 1 to 64 letters, digits, `.`, `_` and `-`, a letter or digit first.
    package static func isName(_ text: some StringProtocol) -> Bool {
        let bytes = text.utf8
        guard (1...nameBytesMax).contains(bytes.count), let first = bytes.first, isAlphanumeric(first) else {
            return false
        }
        return bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
