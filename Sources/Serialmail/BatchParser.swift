import Mail
import SMTP

/// Reads a batch of SMTP line by line, strictly: what is not understood is not guessed at.
///
/// Lines end as the first one does. A line of text is told with LF, and without its stuffed dot (RFC 5321 §4.5.2).
struct BatchParser: Sendable {
    enum Event: Equatable, Sendable {
        /// A command that asks for nothing.
        case nothing
        /// DATA: a message for these begins.
        case begin(sender: String, recipients: [String])
        case text([UInt8])
        /// The message is whole.
        case end
        /// QUIT: nothing may follow.
        case quit
    }

    struct Violation: Error, Hashable {
        let text: String
    }

    private enum Phase {
        case hello, command, text, over
    }

    private var phase = Phase.hello
    private var endsWithCRLF: Bool?
    private var sender: String?
    private var recipients: [String] = []

    private static let recipientsMax = 10_000

    /// Whether the batch may end here.
    var isBetweenMessages: Bool { (phase == .command && sender == nil) || phase == .over }

    /// Takes one line, without its LF.
    mutating func take(_ line: [UInt8]) throws(Violation) -> Event {
        let line = try withoutCR(line)
        switch phase {
        case .text: return takeText(line)
        case .over: throw Violation(text: "something follows QUIT")
        case .hello, .command: return try takeCommand(line)
        }
    }

    private mutating func withoutCR(_ line: [UInt8]) throws(Violation) -> ArraySlice<UInt8> {
        let hasCR = line.last == UInt8(ascii: "\r")
        if endsWithCRLF == nil { endsWithCRLF = hasCR }
        // In a batch of LF lines a CR is text.
        guard endsWithCRLF == true else { return line[...] }
        guard hasCR else { throw Violation(text: "a line that ends with LF among others that end with CRLF") }
        return line.dropLast()
    }

    private mutating func takeText(_ line: ArraySlice<UInt8>) -> Event {
        guard line.first == UInt8(ascii: ".") else { return .text(line + [UInt8(ascii: "\n")]) }
        if line.count > 1 { return .text(line.dropFirst() + [UInt8(ascii: "\n")]) }
        phase = .command
        sender = nil
        recipients = []
        return .end
    }

    private mutating func takeCommand(_ line: ArraySlice<UInt8>) throws(Violation) -> Event {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 1, omittingEmptySubsequences: false)
        let verb = words.first.map { String(decoding: $0, as: UTF8.self).uppercased() } ?? ""
        let rest = words.count > 1 ? Array(words[1]) : []
        switch verb {
        case "HELO", "EHLO":
            guard !rest.isEmpty else { throw Violation(text: "\(verb) without a name") }
            forget()
            phase = .command
            return .nothing
        case "QUIT" where rest.isEmpty:
            phase = .over
            forget()
            return .quit
        case "NOOP":
            return .nothing
        case "RSET" where rest.isEmpty:
            forget()
            return .nothing
        case "MAIL", "RCPT", "DATA":
            guard phase == .command else { throw Violation(text: "\(verb) before HELO") }
            return try takeEnvelope(verb, rest)
        default:
            throw Violation(text: "no command: \(Printable.text(line.prefix(80)))")
        }
    }

    private mutating func takeEnvelope(_ verb: String, _ rest: [UInt8]) throws(Violation) -> Event {
        switch verb {
        case "MAIL":
            guard sender == nil else { throw Violation(text: "MAIL inside of a transaction") }
            sender = try Self.address(rest, after: "FROM:")
        case "RCPT":
            guard sender != nil else { throw Violation(text: "RCPT before MAIL") }
            let recipient = try Self.address(rest, after: "TO:")
            guard !recipient.isEmpty else { throw Violation(text: "no address: RCPT TO:<>") }
            guard recipients.count < Self.recipientsMax else { throw Violation(text: "too many recipients") }
            recipients.append(recipient)
        default:
            guard let sender, !recipients.isEmpty, rest.isEmpty else { throw Violation(text: "DATA out of place") }
            phase = .text
            return .begin(sender: sender, recipients: recipients)
        }
        return .nothing
    }

    private mutating func forget() {
        sender = nil
        recipients = []
    }

    /// `FROM:<path> parameters`. The parameters change nothing here.
    private static func address(_ rest: [UInt8], after keyword: String) throws(Violation) -> String {
        let start = String(decoding: rest.prefix(keyword.utf8.count), as: UTF8.self).uppercased()
        let path = Array(rest.dropFirst(keyword.utf8.count).drop { $0 == UInt8(ascii: " ") })
        guard start == keyword, let found = path.withUnsafeBytes({ SMTPPath.parse($0) }),
            path.count == found.length || path[found.length] == UInt8(ascii: " ")
        else { throw Violation(text: "no address: \(Printable.text(rest.prefix(80)))") }
        switch found.path {
        case .null: return ""
        case .postmaster: return "postmaster"
        case .address(let address): return address.description
        }
    }
}
