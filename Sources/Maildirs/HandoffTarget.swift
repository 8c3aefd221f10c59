/// The storage node that a store keeps copies for until it takes them. Its name is one component of a path.
package struct HandoffTarget: Hashable, Sendable {
    package let node: String

    private static let lengthMax = 64

    /// Nil unless it is 1 to 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit.
    package init?(_ node: some StringProtocol) {
        let bytes = node.utf8
        guard (1...Self.lengthMax).contains(bytes.count), let first = bytes.first, Self.isAlphanumeric(first),
            bytes.allSatisfy({ Self.isAlphanumeric($0) || "._-".utf8.contains($0) })
        else { return nil }
        self.node = String(node)
    }

    /// Takes the name of a folder in `spool/`.
    init?(folder: String) {
        guard folder.hasPrefix(Self.prefix) else { return nil }
        self.init(folder.dropFirst(Self.prefix.count))
    }

    /// Where the copies lie, in `spool/`.
    var folder: String { Self.prefix + node }

    private static let prefix = "handoff-"

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}

extension HandoffTarget: CustomStringConvertible {
    package var description: String { node }
}
