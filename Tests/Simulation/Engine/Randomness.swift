/// Random numbers that a seed repeats (SplitMix64).
struct Randomness: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0xD134_2543_DE82_EF95 &+ 0x1405_7B7E_F767_814F }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    /// 0 to `count` − 1.
    mutating func below(_ count: Int) -> Int { Int(next() >> 11) % count }

    mutating func between(_ low: Int64, _ high: Int64) -> Int64 { low + Int64(next() >> 11) % (high - low + 1) }

    mutating func chance(_ probability: Double) -> Bool {
        probability > 0 && Double(next() >> 11) < probability * 9_007_199_254_740_992
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// So many different numbers below `bound`, in a random order.
    mutating func sample(_ count: Int, below bound: Int) -> [Int] {
        var numbers = Array(0..<bound)
        for place in 0..<min(count, bound) { numbers.swapAt(place, place + below(bound - place)) }
        return Array(numbers.prefix(count))
    }
}
