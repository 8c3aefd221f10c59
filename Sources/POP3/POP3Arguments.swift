/// What stands behind a command's keyword, read from the left.
struct POP3Arguments {
    private var rest: UnsafeRawBufferPointer.SubSequence

    init(_ rest: UnsafeRawBufferPointer.SubSequence) {
        self.rest = rest
    }

    /// Whether nothing but spaces is left: old clients send them behind a command.
    var isEmpty: Bool { rest.allSatisfy { $0 == space } }

    mutating func word() -> UnsafeRawBufferPointer.SubSequence? {
        rest = rest.drop { $0 == space }
        guard !rest.isEmpty else { return nil }
        let end = rest.firstIndex(of: space) ?? rest.endIndex
        defer { rest = rest[end...] }
        return rest[..<end]
    }

    /// Everything behind one space, spaces too: a password may hold them (RFC 1939 §7, PASS). Nil if that is nothing.
    func text() -> String? {
        let text = rest.dropFirst()
        return text.isEmpty ? nil : Self.string(text)
    }

    /// The next word as a number. One that no `Int` holds becomes the greatest: there is no such message, and no
    /// message has so many lines.
    mutating func number() -> Int? {
        guard let digits = word() else { return nil }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            let (product, tooBig) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = product.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
            value = tooBig || overflow ? Int.max : sum
        }
        return value
    }

    mutating func onlyNumber() -> Int? {
        guard let number = number(), isEmpty else { return nil }
        return number
    }

    mutating func optionalNumber() -> Int?? {
        if isEmpty { return .some(nil) }
        guard let number = onlyNumber() else { return nil }
        return .some(number)
    }

    /// Nil for control characters and for what is not UTF-8.
    static func string(_ bytes: UnsafeRawBufferPointer.SubSequence) -> String? {
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// A basic language range (RFC 4647 §2.1): letters, digits and hyphens, or `*`.
    static func languageRange(_ bytes: UnsafeRawBufferPointer.SubSequence) -> String? {
        let isTag = bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard (1...64).contains(bytes.count), isTag || bytes.elementsEqual("*".utf8) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The 16 bytes of an MD5 digest in hexadecimal (RFC 1939 §7, APOP).
    static func digest(_ digits: UnsafeRawBufferPointer.SubSequence) -> [UInt8]? {
        guard digits.count == 32 else { return nil }
        var digest: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue else { return nil }
            if let upper = high {
                digest.append(upper << 4 | UInt8(value))
                high = nil
            } else {
                high = UInt8(value)
            }
        }
        return digest
    }
}
