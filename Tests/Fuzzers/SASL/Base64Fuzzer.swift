import SASL

/// Base64 against a decoder that is easy to understand: the same bytes or the same refusal, and one text for one value.
func fuzzBase64(_ input: UnsafeRawBufferPointer) {
    let text = Array(input)
    let decoded = Base64.decode(text)
    precondition(decoded == naiveDecoded(text), "the decoders differ")
    if let decoded { precondition(Array(Base64.encode(decoded).utf8) == text, "not the only text for this value") }
    precondition(Base64.decode(Base64.encode(text).utf8) == text, "what was encoded does not come back")
}

/// RFC 4648 §4 by strings of bits.
private func naiveDecoded(_ text: [UInt8]) -> [UInt8]? {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    guard text.count % 4 == 0 else { return nil }
    let digits = text.prefix { $0 != UInt8(ascii: "=") }
    let padding = text.dropFirst(digits.count)
    guard padding.allSatisfy({ $0 == UInt8(ascii: "=") }), padding.count <= 2 else { return nil }
    var bits: [UInt8] = []
    for digit in digits {
        guard let value = alphabet.firstIndex(of: digit) else { return nil }
        bits += (0..<6).map { UInt8(value >> (5 - $0) & 1) }
    }
    let rest = bits.suffix(bits.count % 8)
    guard rest.count == padding.count * 2, rest.allSatisfy({ $0 == 0 }) else { return nil }
    return stride(from: 0, to: bits.count - rest.count, by: 8).map { start in
        bits[start..<start + 8].reduce(0) { $0 << 1 | $1 }
    }
}
