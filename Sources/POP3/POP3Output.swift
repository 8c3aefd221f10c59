/// The reply bytes that a session has made and nobody has taken yet.
struct POP3Output: Sendable {
    private(set) var bytes: [UInt8] = []

    var count: Int { bytes.count }

    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    mutating func ok(_ text: String) {
        append("+OK ")
        appendForPeople(text)
        endLine()
    }

    mutating func error(_ text: String, code: POP3ResponseCode?) {
        append("-ERR ")
        if let code { append("[\(code.rawValue)] ") }
        appendForPeople(text)
        endLine()
    }

    /// Some texts come from elsewhere: whatever they hold, they stay one line of at most 512 octets (RFC 2449 §4).
    private mutating func appendForPeople(_ text: String) {
        var left = 480
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            let bytes = UTF8.encode(isControl ? " " : scalar)
            left -= bytes?.count ?? 0
            guard left >= 0 else { return }
            self.bytes.append(contentsOf: bytes ?? UTF8.encodedReplacementCharacter)
        }
    }

    mutating func line(_ text: String) {
        append(text)
        endLine()
    }

    mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    mutating func append(_ bytes: [UInt8]) {
        self.bytes.append(contentsOf: bytes)
    }

    mutating func append(_ byte: UInt8) {
        bytes.append(byte)
    }

    mutating func appendUIDL(at position: Int, of entries: any MaildropEntries) {
        entries.appendUIDL(at: position, to: &bytes)
    }

    mutating func endLine() {
        bytes.append(carriageReturn)
        bytes.append(lineFeed)
    }

    /// Decimal, without making a text of it: a listing has them by the thousand.
    mutating func append(_ number: Int) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var rest = number.magnitude
            var start = digits.count
            repeat {
                start -= 1
                digits.initializeElement(at: start, to: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
                rest /= 10
            } while rest > 0
            bytes.append(contentsOf: UnsafeMutableBufferPointer(rebasing: digits[start...]))
        }
    }
}
