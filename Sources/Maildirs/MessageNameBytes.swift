import Glibc
import Mail

/// A message's file name taken apart as bytes, as `MessageFileName` does with text: foreign names may be no UTF-8, and a
/// mailbox may hold a hundred thousand.
struct MessageNameBytes {
    /// How many bytes stand before the first comma or colon.
    let stemLength: Int
    /// When it arrived, as the stem says; nil if it does not begin with a number.
    let seconds: Int64?
    let micros: Int32
    /// Octets as POP3 sends them, if this is a name of our own form. Other tools write `W=` too, but not always right.
    let wireOctets: Int?

    private static let digitsMax = 15
    private static let octetsMax = 1 << 40

    /// Nil if it is no message's name (hidden, or without a stem).
    init?(_ name: UnsafeRawBufferPointer) {
        stemLength = Self.stemLength(of: name)
        guard stemLength > 0, name[0] != UInt8(ascii: ".") else { return nil }
        let stem = UnsafeRawBufferPointer(rebasing: name[..<stemLength])
        var end = 0
        seconds = Self.number(in: stem, at: &end)
        var microsAt = end + 2
        let hasMicros =
            seconds != nil && end + 2 < stem.count && stem[end] == UInt8(ascii: ".")
            && stem[end + 1] == UInt8(ascii: "M")
        micros = hasMicros ? Int32(clamping: Self.number(in: stem, at: &microsAt) ?? 0) : 0
        wireOctets = Self.isMinted(stem) ? Self.fields(in: name, from: stemLength)?.wireOctets : nil
    }

    static func stemLength(of name: UnsafeRawBufferPointer) -> Int {
        name.firstIndex { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: ":") } ?? name.count
    }

    /// Whether the name can stand in a line of text.
    static func isPlain(_ name: UnsafeRawBufferPointer) -> Bool {
        name.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }

    /// When a message arrived whose stem a frontend made; nil for any other stem.
    static func mintedSeconds(_ stem: UnsafeRawBufferPointer) -> Int64? {
        var end = 0
        return isMinted(stem) ? number(in: stem, at: &end) : nil
    }

    /// The content that a name of our own form tells; nil for a message without a Message-ID, or a foreign one.
    static func content(of name: UnsafeRawBufferPointer) -> MessageContent? {
        let length = stemLength(of: name)
        guard length + ContentDigest.textLength < name.count,
            let seconds = mintedSeconds(UnsafeRawBufferPointer(rebasing: name[..<length])),
            let digest = fields(in: name, from: length)?.digest(in: name)
        else { return nil }
        return MessageContent(digest: digest, seconds: seconds)
    }

    private static func number(in bytes: UnsafeRawBufferPointer, at index: inout Int) -> Int64? {
        let start = index
        var value: Int64 = 0
        while index < bytes.count, (0x30...0x39).contains(bytes[index]) {
            guard index - start < digitsMax else { return nil }
            value = value * 10 + Int64(bytes[index] - 0x30)
            index += 1
        }
        return index > start ? value : nil
    }

    /// Whether a frontend made it: `<seconds>.M<micros>P<process>Q<counter>R<random>.<origin>`.
    private static func isMinted(_ stem: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        guard number(in: stem, at: &index) != nil, skip(".M", in: stem, &index), number(in: stem, at: &index) != nil,
            skip("P", in: stem, &index), number(in: stem, at: &index) != nil, skip("Q", in: stem, &index)
        else { return false }
        let counterAt = index
        while index < stem.count, (0x30...0x39).contains(stem[index]) { index += 1 }
        guard index > counterAt, skip("R", in: stem, &index) else { return false }
        let randomAt = index
        while index < stem.count, (0x30...0x39).contains(stem[index]) || (0x61...0x66).contains(stem[index]) {
            index += 1
        }
        return index > randomAt && skip(".", in: stem, &index)
    }

    private static func skip(_ text: StaticString, in bytes: UnsafeRawBufferPointer, _ index: inout Int) -> Bool {
        guard index + text.utf8CodeUnitCount <= bytes.count else { return false }
        for offset in 0..<text.utf8CodeUnitCount where bytes[index + offset] != text.utf8Start[offset] { return false }
        index += text.utf8CodeUnitCount
        return true
    }

    /// `,S=<disk>,W=<wire>[,C=<checksum>[,D=<digest>]]`, as deliveries write it, perhaps with fields of other tools behind.
    struct Fields {
        let diskOctets: Int
        let wireOctets: Int
        let checksum: UInt64?
        /// Where the digest's text begins.
        fileprivate let digestStart: Int?
        /// Where they end.
        let end: Int

        func digest(in name: UnsafeRawBufferPointer) -> ContentDigest? {
            digestStart.flatMap {
                ContentDigest(UnsafeRawBufferPointer(rebasing: name[$0..<$0 + ContentDigest.textLength]))
            }
        }
    }

    private static let checksumDigits = 16

    /// Nil unless they are of this form: each LF became CRLF, so that no file is twice as large.
    static func fields(in name: UnsafeRawBufferPointer, from start: Int) -> Fields? {
        var index = start
        guard skip(",S=", in: name, &index), let disk = number(in: name, at: &index), skip(",W=", in: name, &index),
            let wire = number(in: name, at: &index), isFieldEnd(name, index),
            disk <= wire, wire < octetsMax, wire <= 2 * disk + 2
        else { return nil }
        var end = index
        let checksum = checksum(in: name, at: &end)
        var digestStart: Int?
        var next = end
        if checksum != nil, skip(",D=", in: name, &next), isFieldEnd(name, next + ContentDigest.textLength) {
            digestStart = next
            end = next + ContentDigest.textLength
        }
        return Fields(
            diskOctets: Int(disk), wireOctets: Int(wire), checksum: checksum, digestStart: digestStart, end: end)
    }

    /// Whether a field ends there: at the name's end, or before what is behind it.
    private static func isFieldEnd(_ name: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        index == name.count
            || index < name.count && (name[index] == UInt8(ascii: ":") || name[index] == UInt8(ascii: ","))
    }

    private static func checksum(in name: UnsafeRawBufferPointer, at index: inout Int) -> UInt64? {
        var next = index
        guard skip(",C=", in: name, &next), isFieldEnd(name, next + checksumDigits) else { return nil }
        var value: UInt64 = 0
        for byte in name[next..<next + checksumDigits] {
            guard let digit = hexDigit(byte) else { return nil }
            value = value << 4 | digit
        }
        index = next + checksumDigits
        return value
    }

    private static func hexDigit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case 0x30...0x39: UInt64(byte - 0x30)
        case 0x61...0x66: UInt64(byte - 0x61) + 10
        default: nil
        }
    }
}
