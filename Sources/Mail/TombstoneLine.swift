/// One line of a tombstone: the identity of a message that was deleted and, where its name told one, its content's digest:
/// `<identity>[,D=<digest>]`. With the digest it deletes what the sender sent again, too (see `ResendWindow`).
package struct TombstoneLine: Hashable, Sendable {
    package let identity: ArraySlice<UInt8>
    package let digest: ContentDigest?

    /// Takes a line without its end. What stands behind the identity and is no digest says nothing.
    package init(_ line: ArraySlice<UInt8>) {
        let end = line.firstIndex(of: UInt8(ascii: ",")) ?? line.endIndex
        identity = line[..<end]
        let field = line[end...]
        digest = field.starts(with: Self.key) ? ContentDigest(field.dropFirst(Self.key.count)) : nil
    }

    /// Puts the line of a deletion behind what `output` holds, with its LF.
    package static func append(_ identity: some Sequence<UInt8>, _ digest: ContentDigest?, to output: inout [UInt8]) {
        output.append(contentsOf: identity)
        if let digest {
            output.append(contentsOf: key)
            digest.append(to: &output)
        }
        output.append(UInt8(ascii: "\n"))
    }

    /// Whether the line it was taken from holds an identity, and nothing else that is not understood.
    package static func isValid(_ line: ArraySlice<UInt8>) -> Bool {
        let taken = TombstoneLine(line)
        guard MessageIdentity(String(decoding: taken.identity, as: UTF8.self)) != nil else { return false }
        return taken.digest != nil || taken.identity.count == line.count
    }

    private static let key = Array(",D=".utf8)
}
