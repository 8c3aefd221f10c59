/// What replicas of a mailbox compare first: how many messages and tombstones there are, and a sum over their names.
///
/// Equal digests mean equal sets of names, but for chance in 2¹²⁸ (names are minted by frontends, so nobody from outside
/// can look for such a chance). It does not depend on order.
package struct MailboxDigest: Hashable, Sendable {
    package private(set) var messages = 0
    package private(set) var tombstones = 0
    private var sum = UnorderedSum()

    package init() {}

    package var isEmpty: Bool { messages == 0 && tombstones == 0 }

    /// A message is there under this name.
    package mutating func add(message name: UnsafeRawBufferPointer) {
        messages += 1
        sum.add(StableHash.xxh64(name))
    }

    /// A tombstone is there under this name.
    package mutating func add(tombstone name: UnsafeRawBufferPointer) {
        tombstones += 1
        sum.add(~StableHash.xxh64(name))
    }
}

extension MailboxDigest: CustomStringConvertible {
    /// As it goes over the wire: `<messages> <tombstones> <32 hexadecimal digits>`.
    package var description: String { "\(messages) \(tombstones) \(sum.hexadecimal)" }

    /// Nil unless it is what `description` gives, perhaps with more words behind it.
    package init?(_ text: some StringProtocol) {
        let words = text.split(separator: " ")
        guard words.count >= 3, let messages = Int(words[0]), let tombstones = Int(words[1]), messages >= 0,
            tombstones >= 0, let sum = UnorderedSum(hexadecimal: words[2])
        else { return nil }
        (self.messages, self.tombstones, self.sum) = (messages, tombstones, sum)
    }
}
