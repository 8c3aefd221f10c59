package import Mail

/// A reply as a client sees it (RFC 5321 §4.2.1).
package struct ParsedReply: Hashable, Sendable {
    package var code: Int
    /// The lines without code and CRLF, with LF between them.
    package var text: [UInt8]

    /// Whether the command was done.
    package var isPositive: Bool { code / 100 == 2 }

    /// The verdict that the reply tells; anything that is no clear refusal is deferred.
    package var verdict: Verdict {
        switch code / 100 {
        case 2: .accepted
        case 5: .refused(reason)
        default: .deferred(reason)
        }
    }

    /// Whether the server says that the commands were wrong, and nothing of the message (RFC 5321 §4.2.3, RFC 3463 §3.6).
    var isProtocolError: Bool {
        [500, 501, 502, 503, 504, 555].contains(code) || (code / 100 == 5 && reason.status.hasPrefix("5.5."))
    }

    /// The reply as a reason; its enhanced code is taken from the text if it has one (RFC 2034).
    package var reason: Reason {
        let line = String(decoding: text.prefix { $0 != ASCII.lf }, as: UTF8.self)
        let isError = code / 100 == 4 || code / 100 == 5
        let kind = isError ? code / 100 : 4
        let words = line.split(separator: " ", maxSplits: 1)
        if let first = words.first, first.hasPrefix("\(kind)."), first.split(separator: ".").count == 3,
            first.utf8.allSatisfy({ ASCII.isDigit($0) || $0 == ASCII.dot })
        {
            return Reason(isError ? code : 451, String(first), words.count > 1 ? String(words[1]) : "")
        }
        return Reason(isError ? code : 451, "\(kind).0.0", isError ? line : "unexpected reply \(code)")
    }
}

/// Reads a server's replies; bounded, and strict about their form, because what is no reply must not be taken for one.
struct ReplyParser: Sendable {
    enum Next: Equatable {
        case needBytes
        case reply(ParsedReply)
        case garbage(String)
    }

    /// RFC 5321 §4.5.3.1.5 has 512; some servers say more.
    private static let lineBytesMax = 4096
    private static let replyBytesMax = 32 << 10

    private var code: Int?
    private var text: [UInt8] = []
    private var scanned = 0

    /// Takes whole lines off `bytes` from `at` on, up to the end of one reply.
    mutating func next(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Next {
        while true {
            let window = min(bytes.count, at + Self.lineBytesMax)
            guard let lf = bytes.position(of: ASCII.lf, from: min(at + scanned, window), to: window) else {
                scanned = bytes.count - at
                return scanned >= Self.lineBytesMax ? .garbage("reply line too long") : .needBytes
            }
            scanned = 0
            guard lf - at >= 4, bytes[lf - 1] == ASCII.cr else { return .garbage("reply line is malformed") }
            let line = at..<(lf - 1)
            at = lf + 1
            guard let isLast = take(bytes.slice(line)) else { return .garbage("reply line is malformed") }
            if text.count > Self.replyBytesMax { return .garbage("reply is too long") }
            if isLast, let code {
                defer {
                    self.code = nil
                    text = []
                }
                return .reply(ParsedReply(code: code, text: text))
            }
        }
    }

    /// Whether the line is the last of its reply; nil if it is no line of a reply.
    private mutating func take(_ line: UnsafeRawBufferPointer) -> Bool? {
        guard let value = line.slice(0..<3).decimal, (200...599).contains(value) else { return nil }
        if let code, code != value { return nil }
        if code != nil { text.append(ASCII.lf) }
        code = value
        guard line.count > 3 else { return true }
        guard line[3] == ASCII.space || line[3] == ASCII.hyphen else { return nil }
        text.append(contentsOf: line[4...])
        return line[3] == ASCII.space
    }
}
