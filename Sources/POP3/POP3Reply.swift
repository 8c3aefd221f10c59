/// A status line (RFC 1939 §3, RFC 2449 §8).
package struct POP3Reply: Sendable, Hashable {
    package let isOK: Bool
    /// What stands behind the indicator, the response code too.
    package let text: String

    /// Nil if it starts with neither `+OK` nor `-ERR`.
    init?(_ line: UnsafeRawBufferPointer) {
        let end = line.firstIndex(of: space) ?? line.endIndex
        if line[..<end].elementsEqual("+OK".utf8) {
            isOK = true
        } else if line[..<end].elementsEqual("-ERR".utf8) {
            isOK = false
        } else {
            return nil
        }
        text = String(decoding: line[end...].dropFirst(), as: UTF8.self)
    }

    /// The response code that the text starts with, if it is one of those known here.
    package var code: POP3ResponseCode? {
        guard text.hasPrefix("["), let end = text.firstIndex(of: "]") else { return nil }
        return POP3ResponseCode(rawValue: text[..<end].dropFirst().uppercased())
    }

    /// The text for people, without a response code: what may be said again behind a code of one's own.
    package var explanation: String {
        guard text.hasPrefix("["), let end = text.firstIndex(of: "]") else { return text }
        return String(text[text.index(after: end)...].drop { $0 == " " })
    }

    /// The numbers that the text starts with: two for STAT and LIST, one for RETR and LAST.
    package var numbers: [Int] {
        var numbers: [Int] = []
        for word in text.split(separator: " ").prefix(2) {
            guard word.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(word) else { break }
            numbers.append(number)
        }
        return numbers
    }

    /// The APOP timestamp in a greeting, with its angle brackets (RFC 1939 §7).
    package var timestamp: String? {
        guard let start = text.firstIndex(of: "<"), let end = text[start...].firstIndex(of: ">") else { return nil }
        return String(text[start...end])
    }
}
