import Mail

/// One command line, taken apart (RFC 1939 §9, RFC 2449 §3), without regard to the state it came in.
enum POP3Command: Equatable {
    case user(String)
    case pass(String)
    case apop(user: String, digest: [UInt8])
    case auth(mechanism: String?, initialResponse: [UInt8]?)
    case stls
    case utf8
    case lang(String?)
    case xopen(POP3OpenRequest)
    case xdigest(MailboxName)
    case xdrain(MailboxName, node: String)
    case xstatus(ofSite: String?)
    /// Of a queue: a message was sent on; or it cannot be, as the reply that is given says.
    case xrelayed(Int, refusal: String?)
    /// Between nodes and frontends: send what waits for a relay now.
    case xflush(relay: String)
    /// The mailboxes of a partition, unless they come to that digest.
    case xpartition(Int, unless: String?)
    case xrepair(RepairScope)
    case xsite(String, SiteOrder)
    /// From now on many sessions on this one connection.
    case xstreams
    /// The tombstones' names, or what the one of this name says.
    case xgone(MessageIdentity?)
    case capa
    case stat
    case list(Int?)
    case uidl(Int?)
    case retr(Int)
    case top(Int, lines: Int)
    case dele(Int)
    case noop
    case rset
    case last
    case quit
    /// A keyword that is known, with arguments that it does not take.
    case malformed(String)
    case unknown

    /// Takes a line without its CRLF.
    init(_ line: UnsafeRawBufferPointer) {
        let end = line.firstIndex(of: space) ?? line.endIndex
        var arguments = POP3Arguments(line[end...])
        self = Self.parse(keyword: Self.pack(line[..<end]), &arguments)
    }

    private static func parse(keyword: UInt64, _ arguments: inout POP3Arguments) -> POP3Command {
        switch keyword {
        case Keyword.user: arguments.text().map(POP3Command.user) ?? .malformed("USER name")
        case Keyword.pass: arguments.text().map(POP3Command.pass) ?? .malformed("PASS password")
        case Keyword.apop: apop(&arguments) ?? .malformed("APOP name digest")
        case Keyword.auth: auth(&arguments) ?? .malformed("AUTH [mechanism [initial-response]]")
        case Keyword.lang: lang(&arguments) ?? .malformed("LANG [tag]")
        case Keyword.xopen: xopen(&arguments) ?? .malformed("XOPEN mailbox [UTF8] [LANG=tag] [LOCAL] [AHEAD]")
        case Keyword.xdigest: mailbox(&arguments).map(POP3Command.xdigest) ?? .malformed("XDIGEST mailbox")
        case Keyword.xdrain: xdrain(&arguments) ?? .malformed("XDRAIN mailbox node")
        case Keyword.xpart: xpartition(&arguments) ?? .malformed("XPART partition [digest]")
        case Keyword.xrepair: xrepair(&arguments) ?? .malformed("XREPAIR partition-or-mailbox")
        case Keyword.xsite: xsite(&arguments) ?? .malformed("XSITE site order")
        case Keyword.xgone: xgone(&arguments) ?? .malformed("XGONE [name]")
        case Keyword.list: arguments.optionalNumber().map(POP3Command.list) ?? .malformed("LIST [msg]")
        case Keyword.uidl: arguments.optionalNumber().map(POP3Command.uidl) ?? .malformed("UIDL [msg]")
        case Keyword.retr: arguments.onlyNumber().map(POP3Command.retr) ?? .malformed("RETR msg")
        case Keyword.dele: arguments.onlyNumber().map(POP3Command.dele) ?? .malformed("DELE msg")
        case Keyword.top: top(&arguments) ?? .malformed("TOP msg n")
        case Keyword.xrelayed: relayed(&arguments) ?? .malformed("XRELAYED msg [reply]")
        case Keyword.xflush: flush(&arguments) ?? .malformed("XFLUSH relay")
        case Keyword.xstatus: status(&arguments) ?? .malformed("XSTATUS [site]")
        default: simple(keyword, arguments)
        }
    }

    private static func simple(_ keyword: UInt64, _ arguments: POP3Arguments) -> POP3Command {
        let command: POP3Command
        switch keyword {
        case Keyword.stls: command = .stls
        case Keyword.utf8: command = .utf8
        case Keyword.capa: command = .capa
        case Keyword.stat: command = .stat
        case Keyword.noop: command = .noop
        case Keyword.rset: command = .rset
        case Keyword.last: command = .last
        case Keyword.quit: command = .quit
        case Keyword.xstreams: command = .xstreams
        default: return .unknown
        }
        return arguments.isEmpty ? command : .malformed("the command alone")
    }

    private static func status(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let word = arguments.word() else { return .xstatus(ofSite: nil) }
        guard arguments.isEmpty else { return nil }
        return POP3Arguments.string(word).map { .xstatus(ofSite: $0) }
    }

    private static func relayed(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let number = arguments.number() else { return nil }
        if arguments.isEmpty { return .xrelayed(number, refusal: nil) }
        return arguments.text().map { .xrelayed(number, refusal: $0) }
    }

    private static func flush(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let word = arguments.word(), arguments.isEmpty else { return nil }
        return POP3Arguments.string(word).map { .xflush(relay: $0) }
    }

    private static func apop(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let user = arguments.word(), let digits = arguments.word(), arguments.isEmpty,
            let name = POP3Arguments.string(user), let digest = POP3Arguments.digest(digits)
        else { return nil }
        return .apop(user: name, digest: digest)
    }

    private static func auth(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let word = arguments.word() else { return .auth(mechanism: nil, initialResponse: nil) }
        let response = arguments.word()
        guard arguments.isEmpty, let mechanism = POP3Arguments.string(word) else { return nil }
        return .auth(mechanism: mechanism, initialResponse: response.map(Array.init))
    }

    private static func lang(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let word = arguments.word() else { return .lang(nil) }
        guard arguments.isEmpty else { return nil }
        return POP3Arguments.languageRange(word).map(POP3Command.lang)
    }

    private static func xopen(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let word = arguments.word(), let text = Xtext.decode(word), let mailbox = MailboxName(text) else {
            return nil
        }
        var request = POP3OpenRequest(mailbox: mailbox)
        while let word = arguments.word() {
            if word.elementsEqual("UTF8".utf8) {
                request.utf8 = true
            } else if word.elementsEqual("LOCAL".utf8) {
                request.isLocal = true
            } else if word.elementsEqual("AHEAD".utf8) {
                request.takesAhead = true
            } else if word.starts(with: "LANG=".utf8), let tag = POP3Arguments.languageRange(word.dropFirst(5)) {
                request.language = tag
            } else {
                return nil
            }
        }
        return .xopen(request)
    }

    private static func mailbox(_ arguments: inout POP3Arguments) -> MailboxName? {
        guard let word = arguments.word(), arguments.isEmpty else { return nil }
        return Xtext.decode(word).flatMap { MailboxName($0) }
    }

    private static func xdrain(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let first = arguments.word(), let second = arguments.word(), arguments.isEmpty,
            let mailbox = Xtext.decode(first).flatMap({ MailboxName($0) }), let node = Xtext.decode(second)
        else { return nil }
        return .xdrain(mailbox, node: node)
    }

    private static func xpartition(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let number = arguments.number() else { return nil }
        guard let word = arguments.word() else { return .xpartition(number, unless: nil) }
        guard arguments.isEmpty, let digest = POP3Arguments.string(word) else { return nil }
        return .xpartition(number, unless: digest)
    }

    private static func xrepair(_ arguments: inout POP3Arguments) -> POP3Command? {
        var asNumber = arguments
        if let number = asNumber.onlyNumber() { return .xrepair(.partition(number)) }
        return mailbox(&arguments).map { .xrepair(.mailbox($0)) }
    }

    private static func xsite(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let site = arguments.word().flatMap(POP3Arguments.string), let order = SiteOrder(&arguments) else {
            return nil
        }
        return .xsite(site, order)
    }

    private static func xgone(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let word = arguments.word() else { return .xgone(nil) }
        guard arguments.isEmpty, let name = Xtext.decode(word).flatMap({ MessageIdentity($0) }) else { return nil }
        return .xgone(name)
    }

    private static func top(_ arguments: inout POP3Arguments) -> POP3Command? {
        guard let number = arguments.number(), let lines = arguments.number(), arguments.isEmpty else { return nil }
        return .top(number, lines: lines)
    }

    /// Up to eight characters as one number, lower case made upper; zero for anything longer.
    private static func pack(_ keyword: UnsafeRawBufferPointer.SubSequence) -> UInt64 {
        guard keyword.count <= 8 else { return 0 }
        return keyword.reduce(0) { packed, byte in
            packed << 8 | UInt64((UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte & 0xDF : byte)
        }
    }

    private enum Keyword {
        static let user = packed("USER")
        static let pass = packed("PASS")
        static let apop = packed("APOP")
        static let auth = packed("AUTH")
        static let stls = packed("STLS")
        static let utf8 = packed("UTF8")
        static let lang = packed("LANG")
        static let xopen = packed("XOPEN")
        static let xdigest = packed("XDIGEST")
        static let xdrain = packed("XDRAIN")
        static let xstatus = packed("XSTATUS")
        static let xflush = packed("XFLUSH")
        static let xrelayed = packed("XRELAYED")
        static let xpart = packed("XPART")
        static let xrepair = packed("XREPAIR")
        static let xsite = packed("XSITE")
        static let xgone = packed("XGONE")
        static let xstreams = packed("XSTREAMS")
        static let capa = packed("CAPA")
        static let stat = packed("STAT")
        static let list = packed("LIST")
        static let uidl = packed("UIDL")
        static let retr = packed("RETR")
        static let top = packed("TOP")
        static let dele = packed("DELE")
        static let noop = packed("NOOP")
        static let rset = packed("RSET")
        static let last = packed("LAST")
        static let quit = packed("QUIT")

        private static func packed(_ text: StaticString) -> UInt64 {
            text.withUTF8Buffer { $0.reduce(0) { $0 << 8 | UInt64($1) } }
        }
    }
}
