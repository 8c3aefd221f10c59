import Glibc

/// A message's file name taken apart as bytes, as `MessageFileName` does with text: foreign names may be no UTF-8, and a
/// mailbox may hold a hundred thousand.
struct MessageNameBytes {
    /// How many bytes stand before the first comma or colon.
    let stemLength: Int
    /// When it arrived, as the stem says; nil if it does not begin with a number.
    let seconds: Int64?
    let micros: Int32
    /// Octets as POP3 sends them, if the name says so believably.
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
        wireOctets = Self.wireOctets(in: name, from: stemLength)
    }

    static func stemLength(of name: UnsafeRawBufferPointer) -> Int {
        name.firstIndex { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: ":") } ?? name.count
    }

    /// Whether the name can stand in a line of text.
    static func isPlain(_ name: UnsafeRawBufferPointer) -> Bool {
        name.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
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

    private static func wireOctets(in name: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        while index + 2 < name.count, name[index] == UInt8(ascii: ",") {
            if name[index + 1] == UInt8(ascii: "W"), name[index + 2] == UInt8(ascii: "=") {
                index += 3
                guard let value = number(in: name, at: &index), value < octetsMax, isEnd(index, name) else {
                    return nil
                }
                return Int(value)
            }
            index += 1
            while !isEnd(index, name) { index += 1 }
        }
        return nil
    }

    private static func isEnd(_ index: Int, _ name: UnsafeRawBufferPointer) -> Bool {
        index >= name.count || name[index] == UInt8(ascii: ",") || name[index] == UInt8(ascii: ":")
    }
}
