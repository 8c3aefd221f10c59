package import Mail

/// What a client asks (RFC 1939 §9, RFC 2449, RFC 2595, RFC 6856), and the cluster's own XOPEN.
package enum POP3ClientCommand: Sendable, Hashable {
    case capa
    case stls
    case utf8
    case lang(String)
    case user(String)
    case pass(String)
    case xopen(MailboxName, utf8: Bool, language: String?)
    case stat
    case list
    case listOne(Int)
    case uidl
    case uidlOne(Int)
    case retr(Int)
    case top(Int, lines: Int)
    case dele(Int)
    case noop
    case rset
    case last
    case quit

    /// Whether lines follow the `+OK`.
    package var isMultiLine: Bool {
        switch self {
        case .capa, .list, .uidl, .retr, .top: true
        default: false
        }
    }

    /// Whether those lines are a message: handed on as they come, of any length.
    var carriesMessage: Bool {
        switch self {
        case .retr, .top: true
        default: false
        }
    }

    /// The line to send, without its CRLF. A text must hold no CR, LF or NUL.
    var line: [UInt8] {
        switch self {
        case .xopen(let mailbox, let utf8, let language):
            let flags = (utf8 ? " UTF8" : "") + (language.map { " LANG=\($0)" } ?? "")
            return Array("XOPEN ".utf8) + Xtext.encode(mailbox.description) + Array(flags.utf8)
        default:
            return Array(text.utf8)
        }
    }

    private var text: String {
        switch self {
        case .capa: "CAPA"
        case .stls: "STLS"
        case .utf8: "UTF8"
        case .lang(let range): "LANG \(range)"
        case .user(let name): "USER \(name)"
        case .pass(let password): "PASS \(password)"
        case .xopen: "XOPEN"
        case .stat: "STAT"
        case .list: "LIST"
        case .listOne(let number): "LIST \(number)"
        case .uidl: "UIDL"
        case .uidlOne(let number): "UIDL \(number)"
        case .retr(let number): "RETR \(number)"
        case .top(let number, let lines): "TOP \(number) \(lines)"
        case .dele(let number): "DELE \(number)"
        case .noop: "NOOP"
        case .rset: "RSET"
        case .last: "LAST"
        case .quit: "QUIT"
        }
    }
}
