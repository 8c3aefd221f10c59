import Glibc

/// The bytes that SMTP gives a meaning to (RFC 5234 appendix B.1).
enum ASCII {
    static let nul: UInt8 = 0x00
    static let tab: UInt8 = 0x09
    static let lf: UInt8 = 0x0A
    static let cr: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let hash: UInt8 = 0x23
    static let plus: UInt8 = 0x2B
    static let comma: UInt8 = 0x2C
    static let hyphen: UInt8 = 0x2D
    static let dot: UInt8 = 0x2E
    static let colon: UInt8 = 0x3A
    static let less: UInt8 = 0x3C
    static let equals: UInt8 = 0x3D
    static let greater: UInt8 = 0x3E
    static let at: UInt8 = 0x40
    static let openBracket: UInt8 = 0x5B
    static let backslash: UInt8 = 0x5C
    static let closeBracket: UInt8 = 0x5D

    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    static func isLetterOrDigit(_ byte: UInt8) -> Bool { isDigit(byte) || isLetter(byte) }

    static func isHexDigit(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 0x61 < 6 }

    static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }

    /// The letter in upper case; other bytes as they are.
    static func upper(_ byte: UInt8) -> UInt8 { isLetter(byte) ? byte & 0xDF : byte }
}

extension UnsafeRawBufferPointer {
    /// Where `byte` first stands in `from..<to`; `to` must not pass the end.
    @inline(__always)
    func position(of byte: UInt8, from: Int, to: Int) -> Int? {
        guard from < to, let base = baseAddress, let hit = memchr(base + from, Int32(byte), to &- from) else {
            return nil
        }
        return UnsafeRawPointer(hit) - base
    }

    /// The bytes of a range, counted from zero again.
    @inline(__always)
    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[range])
    }

    /// Whether the bytes from `index` on are `word`, whatever the case of letters; `word` is in upper case.
    func matches(_ word: StaticString, at index: Int) -> Bool {
        guard count - index >= word.utf8CodeUnitCount else { return false }
        for offset in 0..<word.utf8CodeUnitCount where ASCII.upper(self[index + offset]) != word.utf8Start[offset] {
            return false
        }
        return true
    }

    /// Whether all the bytes are `word`, whatever the case of letters; `word` is in upper case.
    func equals(_ word: StaticString) -> Bool { count == word.utf8CodeUnitCount && matches(word, at: 0) }
}
