/// A message of the generator's making: its first line tells which it is, how long it is and what its bytes add up to.
///
///     X-Hauberk-Load: <token> <octets> <checksum>
///
/// Octets and checksum are those of everything behind that line, so a checker can tell damage, whatever header fields
/// servers put on top.
package enum LoadMessage {
    static let fieldName = "X-Hauberk-Load: "

    /// What a checker found in a message that it read.
    package enum Finding: Sendable, Equatable {
        case whole(token: String)
        case damaged(token: String)
        /// Not one of ours.
        case foreign
    }

    /// Octets of the first line before content of that size.
    static func firstLineOctets(token: String, contentOctets: Int) -> Int {
        fieldName.utf8.count + token.utf8.count + " \(contentOctets) ".utf8.count + 16 + 2
    }

    /// Puts the first line before `contentOctets` octets that `write` appends, which must have CRLF line ends.
    static func make(token: String, contentOctets: Int, _ write: (inout [UInt8]) -> Void) -> [UInt8] {
        var message: [UInt8] = []
        let firstLine = firstLineOctets(token: token, contentOctets: contentOctets)
        message.reserveCapacity(firstLine + contentOctets)
        message.append(contentsOf: "\(fieldName)\(token) \(contentOctets) 0000000000000000\r\n".utf8)
        write(&message)
        precondition(message.count == firstLine + contentOctets, "\(message.count) octets instead of \(contentOctets)")
        let sum = message.withUnsafeBytes { checksum(UnsafeRawBufferPointer(rebasing: $0[firstLine...])) }
        let digits = String(sum, radix: 16).utf8
        message.replaceSubrange(firstLine - 2 - digits.count..<firstLine - 2, with: digits)
        return message
    }

    /// The same lines, each ended by CRLF, as they travel by SMTP; a last line that lacks its end gets one.
    package static func withCRLF(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count + bytes.count / 16)
        var previous: UInt8 = 0
        for byte in bytes {
            switch (previous, byte) {
            case (UInt8(ascii: "\r"), UInt8(ascii: "\n")): break
            case (_, UInt8(ascii: "\r")), (_, UInt8(ascii: "\n")): text.append(contentsOf: "\r\n".utf8)
            default: text.append(byte)
            }
            previous = byte
        }
        if !text.isEmpty, text.last != UInt8(ascii: "\n") { text.append(contentsOf: "\r\n".utf8) }
        return text
    }

    /// Looks a message over that came back by POP3.
    package static func inspect(_ message: [UInt8]) -> Finding {
        guard let line = ownLine(message) else { return .foreign }
        let words = String(decoding: message[line], as: UTF8.self).dropFirst(fieldName.count).split(separator: " ")
        guard let token = words.first.map(String.init) else { return .foreign }
        let content = message[min(line.upperBound + 2, message.count)...]
        guard words.count == 3, Int(words[1]) == content.count,
            UInt64(words[2], radix: 16) == content.withUnsafeBytes({ checksum($0) })
        else { return .damaged(token: token) }
        return .whole(token: token)
    }

    /// The line with our field, without its CRLF, if the header has it.
    private static func ownLine(_ message: [UInt8]) -> Range<Int>? {
        var start = 0
        while start < message.count {
            let end = message[start...].firstIndex(of: UInt8(ascii: "\n")) ?? message.count
            let text = start..<max(start, end - 1)
            if text.isEmpty { return nil }
            if message[text].starts(with: fieldName.utf8) { return text }
            start = end + 1
        }
        return nil
    }

    /// Eight bytes at a time, and four sums side by side, so that it costs the generator next to nothing. Any changed byte
    /// changes it.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var (first, second, third, fourth) = (seed, seed &+ 1, seed &+ 2, seed &+ 3)
        var at = 0
        func word(_ offset: Int) -> UInt64 {
            bytes.loadUnaligned(fromByteOffset: at + offset, as: UInt64.self).littleEndian
        }
        while at + 32 <= bytes.count {
            first = mix(first, word(0))
            second = mix(second, word(8))
            third = mix(third, word(16))
            fourth = mix(fourth, word(24))
            at += 32
        }
        var sum = mix(mix(mix(first, second), third), fourth)
        while at < bytes.count {
            sum = mix(sum, UInt64(bytes[at]))
            at += 1
        }
        return sum
    }

    private static let seed: UInt64 = 0xCBF2_9CE4_8422_2325

    private static func mix(_ sum: UInt64, _ word: UInt64) -> UInt64 {
        let product = (sum ^ word) &* 0x9E37_79B9_7F4A_7C15
        return product ^ (product >> 29)
    }
}
