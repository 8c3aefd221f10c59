/// What tells two arrivals of one message from two messages: 128 bits over what its sender sent, whatever way it came.
///
/// As text it is 22 characters of base64url without padding (RFC 4648 §5), as file names and tombstones have it.
package struct ContentDigest: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package static let textLength = 22

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Nil unless it is what `append` gives.
    package init?(_ text: some Sequence<UInt8>) {
        guard let digest = Array(text).withUnsafeBytes({ ContentDigest($0) }) else { return nil }
        self = digest
    }

    /// The same, without copying it.
    package init?(_ text: UnsafeRawBufferPointer) {
        guard text.count == Self.textLength else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        var position = 0
        for character in text {
            guard let digit = Self.value(character) else { return nil }
            position += 1
            if position < Self.textLength {
                high = high << 6 | low >> 58
                low = low << 6 | digit
            } else {
                guard digit & 0xF == 0 else { return nil }
                high = high << 2 | low >> 62
                low = low << 2 | digit >> 4
            }
        }
        self.init(high: high, low: low)
    }

    /// Its text behind what `output` holds.
    package func append(to output: inout [UInt8]) {
        output.reserveCapacity(output.count + Self.textLength)
        forEachCharacter { output.append($0) }
    }

    /// Its text, a character after the other.
    func forEachCharacter(_ body: (UInt8) -> Void) {
        for position in 0..<Self.textLength - 1 { body(Self.alphabet[Int(bits(at: 122 - 6 * position) & 63)]) }
        body(Self.alphabet[Int(low & 3) << 4])
    }

    /// The bits from the `shift`th on, counted from the least.
    private func bits(at shift: Int) -> UInt64 {
        if shift >= 64 { return high >> UInt64(shift - 64) }
        return shift == 0 ? low : low >> UInt64(shift) | high << UInt64(64 - shift)
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    private static func value(_ character: UInt8) -> UInt64? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt64(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt64(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}

extension ContentDigest: CustomStringConvertible {
    package var description: String {
        var text: [UInt8] = []
        append(to: &text)
        return String(decoding: text, as: UTF8.self)
    }
}
