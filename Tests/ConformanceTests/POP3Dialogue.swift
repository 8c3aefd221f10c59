/// One POP3 rule as a text file that a person can read and add to.
///
///     # RFC 1939 §5, STAT: the number and the octets of the messages     the rule, first line
///     service: node                    frontend, node, or cluster (a frontend and its node, one behind the other)
///     setting: offersAPOP              see POP3DialogueServer
///     account: alice@example.test pencil
///     message: id1                     its text follows, line by line behind "|", with LF ends as on disk
///     |Subject: one
///     only-whole                       the rule is about what comes in one piece; else it is cut in many ways
///     S: +OK*                          the server's next line; "*" at the end stands for anything
///     C: STAT                          the client's next line, CRLF added; \r \n \0 \\ \xFF are bytes.
///     C~ STAT                          the same without CRLF added. Adjacent C lines are sent at once.
///     ! closed                         what the world does, or must have seen: see POP3DialogueServer
struct POP3Dialogue: Sendable {
    enum Line: Sendable, Equatable {
        case client([UInt8])
        case server(String)
        case world(String)
    }

    struct Message: Sendable {
        let uidl: String
        var text: String
    }

    let rule: String
    private(set) var service = "node"
    private(set) var settings: [String] = []
    private(set) var accounts: [String: String] = [:]
    private(set) var messages: [Message] = []
    private(set) var onlyWhole = false
    private(set) var lines: [Line] = []

    /// Nil for a line that is none of the above; the failure names it.
    init(_ text: String) throws(Malformed) {
        let all = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = all.first, first.hasPrefix("# ") else { throw Malformed(line: "the rule is missing") }
        rule = String(first.dropFirst(2))
        for line in all.dropFirst() where !line.isEmpty && !line.hasPrefix("#") {
            guard take(line) else { throw Malformed(line: String(line)) }
        }
    }

    struct Malformed: Error {
        let line: String
    }

    private mutating func take(_ line: Substring) -> Bool {
        if line == "only-whole" {
            onlyWhole = true
        } else if line.hasPrefix("|"), !messages.isEmpty {
            messages[messages.count - 1].text += line.dropFirst() + "\n"
        } else if line == "C:" {
            lines.append(.client([13, 10]))
        } else if let rest = line.behind("C: "), let bytes = Self.unescape(rest) {
            lines.append(.client(bytes + [13, 10]))
        } else if let rest = line.behind("C~ "), let bytes = Self.unescape(rest) {
            lines.append(.client(bytes))
        } else if let rest = line.behind("S: ") {
            lines.append(.server(String(rest)))
        } else if line == "S:" {
            lines.append(.server(""))
        } else if let rest = line.behind("! ") {
            lines.append(.world(String(rest)))
        } else {
            return takeSetting(line)
        }
        return true
    }

    private mutating func takeSetting(_ line: Substring) -> Bool {
        guard let colon = line.range(of: ": ") else { return false }
        let value = String(line[colon.upperBound...])
        switch line[..<colon.lowerBound] {
        case "service": service = value
        case "setting": settings.append(value)
        case "message": messages.append(Message(uidl: value, text: ""))
        case "account":
            guard let space = value.firstIndex(of: " ") else { return false }
            accounts[String(value[..<space])] = String(value[value.index(after: space)...])
        default: return false
        }
        return true
    }

    private static func unescape(_ text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "r"): bytes.append(13)
            case UInt8(ascii: "n"): bytes.append(10)
            case UInt8(ascii: "0"): bytes.append(0)
            case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "x"):
                guard let value = UInt8(Substring(rest.prefix(2)), radix: 16) else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: return nil
            }
        }
        return bytes
    }
}

extension Substring {
    fileprivate func behind(_ prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }

    /// The first ": " of the line.
    fileprivate func range(of separator: String) -> Range<Index>? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(separator) { return index..<self.index(index, offsetBy: separator.count) }
            index = self.index(after: index)
        }
        return nil
    }
}
