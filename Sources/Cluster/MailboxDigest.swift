/// What replicas of a mailbox compare first: how many messages and tombstones there are, and a sum over their names.
///
/// Equal digests mean equal sets of names, but for chance in 2¹²⁸ (names are minted by frontends, so nobody from outside
/// can look for such a chance). It does not depend on order.
package struct MailboxDigest: Hashable, Sendable {
    package private(set) var messages = 0
    package private(set) var tombstones = 0
    private var sum: UInt64 = 0
    private var mixedSum: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { messages == 0 && tombstones == 0 }

    /// A message is there under this name.
    package mutating func add(message name: UnsafeRawBufferPointer) {
        messages += 1
        add(StableHash.xxh64(name))
    }

    /// A tombstone is there under this name.
    package mutating func add(tombstone name: UnsafeRawBufferPointer) {
        tombstones += 1
        add(~StableHash.xxh64(name))
    }

    private mutating func add(_ hash: UInt64) {
        sum &+= hash
        mixedSum &+= StableHash.affinity(node: hash, partition: 0) ^ StableHash.affinity(node: hash, partition: 1) &<< 1
    }
}

extension MailboxDigest: CustomStringConvertible {
    /// As it goes over the wire: `<messages> <tombstones> <32 hexadecimal digits>`.
    package var description: String { "\(messages) \(tombstones) \(Self.hex(sum))\(Self.hex(mixedSum))" }

    /// Nil unless it is what `description` gives, perhaps with more words behind it.
    package init?(_ text: some StringProtocol) {
        let words = text.split(separator: " ")
        guard words.count >= 3, let messages = Int(words[0]), let tombstones = Int(words[1]), messages >= 0,
            tombstones >= 0, words[2].utf8.count == 32, let first = UInt64(words[2].prefix(16), radix: 16),
            let second = UInt64(words[2].dropFirst(16), radix: 16)
        else { return nil }
        (self.messages, self.tombstones, sum, mixedSum) = (messages, tombstones, first, second)
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
