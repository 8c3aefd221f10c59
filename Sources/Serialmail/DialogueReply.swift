/// One reply of an SMTP server, as lenient as serialsmtp has always been: LF ends a line too.
struct DialogueReply: Hashable {
    let code: Int
    /// With code, without line end.
    let lines: [[UInt8]]

    var lastLine: [UInt8] { lines.last ?? [] }
    /// K, Z or D.
    var letter: Character { code >= 500 ? "D" : code >= 400 ? "Z" : "K" }
    var isRefusal: Bool { code >= 400 }

    /// Whether a line behind the first is this keyword (RFC 5321 §4.1.1.1).
    func offers(_ keyword: String) -> Bool {
        lines.dropFirst().contains { line in
            let word = line.dropFirst(4).prefix { $0 != UInt8(ascii: " ") }
            return String(decoding: word, as: UTF8.self).uppercased() == keyword
        }
    }

    /// The code and whether more lines follow; nil if it is no line of a reply.
    static func parse(_ line: [UInt8]) -> (code: Int, isLast: Bool)? {
        guard line.count >= 3 else { return nil }
        var code = 0
        for byte in line.prefix(3) {
            guard (0x30...0x39).contains(byte) else { return nil }
            code = code * 10 + Int(byte - 0x30)
        }
        return (code, line.count == 3 || line[3] != UInt8(ascii: "-"))
    }
}
