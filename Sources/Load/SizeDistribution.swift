/// How large the messages of a run are: always the same, by turns, or anything between two sizes.
package enum SizeDistribution: Sendable, Equatable {
    /// Each in its turn.
    case list([Int])
    /// Every order of magnitude is as likely as any other, as in real mail.
    case range(ClosedRange<Int>)

    package static let octetsMax = 1 << 30

    /// Takes `4KiB`, `1KiB,64KiB,1MiB` or `1KiB..64KiB`; the units are B (or none), KiB and MiB. Nil for anything else.
    package init?(_ text: String) {
        if let dots = text.range(of: "..") {
            guard let low = Self.octets(text[..<dots.lowerBound]), let high = Self.octets(text[dots.upperBound...]),
                low <= high
            else { return nil }
            self = .range(low...high)
            return
        }
        var sizes: [Int] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let size = Self.octets(part) else { return nil }
            sizes.append(size)
        }
        self = .list(sizes)
    }

    /// The size of the message with that number; the same whenever it is asked for.
    package func size(of number: Int, seed: UInt64) -> Int {
        switch self {
        case .list(let sizes):
            return sizes[number % sizes.count]
        case .range(let range):
            // A power of two, then evenly inside it: close enough to log-uniform without a logarithm.
            var random = SplitMix(seed: seed &+ UInt64(number))
            let low = Self.power(range.lowerBound)
            let power = low + Int(random.next() % UInt64(Self.power(range.upperBound) - low + 1))
            let floor = max(range.lowerBound, 1 << power)
            let ceiling = max(floor, min(range.upperBound, (1 << (power + 1)) - 1))
            return floor + Int(random.next() % UInt64(ceiling - floor + 1))
        }
    }

    private static func power(_ size: Int) -> Int { Int.bitWidth - 1 - max(1, size).leadingZeroBitCount }

    private static func octets(_ text: Substring) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number <= octetsMax else { return nil }
        let unit: Int
        switch text[digits.endIndex...] {
        case "", "B": unit = 1
        case "KiB", "K", "k": unit = 1 << 10
        case "MiB", "M": unit = 1 << 20
        default: return nil
        }
        return number * unit <= octetsMax ? number * unit : nil
    }
}

extension StringProtocol {
    /// Where `other` first stands, without Foundation.
    fileprivate func range(of other: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
            start = index(after: start)
        }
        return nil
    }
}

/// A small generator of random numbers with a seed, so that a run can be repeated.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
