/// The reply bytes that a session has made and nobody has taken yet.
struct POP3Output: Sendable {
    private(set) var bytes: [UInt8] = []

    var count: Int { bytes.count }

    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    mutating func ok(_ text: String) {
        line("+OK \(text)")
    }

    mutating func error(_ text: String, code: POP3ResponseCode?) {
        line(code.map { "-ERR [\($0.rawValue)] \(text)" } ?? "-ERR \(text)")
    }

    mutating func line(_ text: String) {
        append(text)
        endLine()
    }

    mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    mutating func append(_ more: [UInt8]) {
        bytes.append(contentsOf: more)
    }

    mutating func append(_ byte: UInt8) {
        bytes.append(byte)
    }

    mutating func endLine() {
        bytes.append(carriageReturn)
        bytes.append(lineFeed)
    }

    /// `+OK` with numbers, as STAT and LIST need it by the thousand: no text is made.
    mutating func append(_ number: Int) {
        var rest = number.magnitude
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        let start = bytes.count
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }
}
