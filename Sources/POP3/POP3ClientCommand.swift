package import Mail

/// What a client asks (RFC 1939 §9, RFC 2449, RFC 2595, RFC 6856), and the cluster's own XOPEN.
package enum POP3ClientCommand: Sendable, Hashable {
    case capa
    case stls
    case utf8
    case lang(String)
    case user(String)
    case pass(String)
    /// The digest in hexadecimal.
    case apop(user: String, digest: String)
    /// - Parameter ahead: whether answers are taken ahead of their questions.
    case xopen(MailboxName, utf8: Bool, language: String?, ahead: Bool = false)
    /// The node's own copy, for another node.
    case xopenLocal(MailboxName)
    case xdigest(MailboxName)
    case xdrain(MailboxName, node: String)
    case xstatus(ofSite: String? = nil)
    /// A message of a queue was sent on; or it cannot be, and this reply says why.
    case xrelayed(Int, refusal: String? = nil)
    /// A node sends what waits for a relay now.
    case xflush(relay: String)
    case xpartition(Int, unless: String)
    case xrepair(RepairScope)
    case xsite(String, SiteOrder)
    /// From now on many sessions on this one connection.
    case xstreams
    case xgone
    case xgoneOne(MessageIdentity)
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
        case .capa, .list, .uidl, .retr, .top, .xgone, .xgoneOne, .xpartition: true
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
        case .xopen(let mailbox, let utf8, let language, let ahead):
            let flags = (utf8 ? " UTF8" : "") + (language.map { " LANG=\($0)" } ?? "") + (ahead ? " AHEAD" : "")
            return Array("XOPEN ".utf8) + Xtext.encode(mailbox.description) + Array(flags.utf8)
        case .xopenLocal(let mailbox): return Self.line("XOPEN", mailbox.description) + Array(" LOCAL".utf8)
        case .xdigest(let mailbox): return Self.line("XDIGEST", mailbox.description)
        case .xdrain(let mailbox, let node):
            return Self.line("XDRAIN", mailbox.description) + [space] + Xtext.encode(node)
        case .xgoneOne(let name): return Self.line("XGONE", name.text)
        case .xrepair(.mailbox(let mailbox)): return Self.line("XREPAIR", mailbox.description)
        default:
            return Array(text.utf8)
        }
    }

    private static func line(_ keyword: String, _ argument: String) -> [UInt8] {
        Array("\(keyword) ".utf8) + Xtext.encode(argument)
    }

    private var text: String {
        switch self {
        case .capa: "CAPA"
        case .stls: "STLS"
        case .utf8: "UTF8"
        case .lang(let range): "LANG \(range)"
        case .user(let name): "USER \(name)"
        case .pass(let password): "PASS \(password)"
        case .apop(let user, let digest): "APOP \(user) \(digest)"
        case .xopen, .xopenLocal: "XOPEN"
        case .xdigest: "XDIGEST"
        case .xdrain: "XDRAIN"
        case .xflush(let relay): "XFLUSH \(relay)"
        case .xrelayed(let number, let refusal): "XRELAYED \(number)" + (refusal.map { " \($0)" } ?? "")
        case .xstatus(let site): site.map { "XSTATUS \($0)" } ?? "XSTATUS"
        case .xpartition(let partition, let digest): "XPART \(partition) \(digest)"
        case .xrepair(.partition(let partition)): "XREPAIR \(partition)"
        case .xrepair(.mailbox): "XREPAIR"
        case .xsite(let site, let order): "XSITE \(site) \(order.text)"
        case .xstreams: "XSTREAMS"
        case .xgone, .xgoneOne: "XGONE"
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
