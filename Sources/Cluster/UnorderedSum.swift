/// A sum over the hashes of a set's elements: 128 bits that do not depend on their order.
struct UnorderedSum: Hashable, Sendable {
    private var sum: UInt64 = 0
    private var mixedSum: UInt64 = 0

    init() {}

    mutating func add(_ hash: UInt64) {
        sum &+= hash
        mixedSum &+= StableHash.affinity(node: hash, partition: 0) ^ StableHash.affinity(node: hash, partition: 1) &<< 1
    }

    /// 32 digits.
    var hexadecimal: String { Self.hex(sum) + Self.hex(mixedSum) }

    /// Nil unless it is what `hexadecimal` gives.
    init?(hexadecimal text: some StringProtocol) {
        guard text.utf8.count == 32, let first = UInt64(text.prefix(16), radix: 16),
            let second = UInt64(text.dropFirst(16), radix: 16)
        else { return nil }
        (sum, mixedSum) = (first, second)
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
