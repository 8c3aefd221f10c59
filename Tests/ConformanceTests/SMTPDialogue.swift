import Mail
import SASL
import SMTP

/// Runs one dialogue against a server session.
///
/// Before the first line of the dialogue proper:
///
///     set service mx | submission | lmtp | cluster
///     set tls offered | on | none
///     set auth MECHANISM…
///     set auth-without-tls
///     set sites            other sites may log in
///     set etrn | atrn      the extension is offered
///     set limit NAME VALUE
///     set whole            the dialogue depends on which bytes come together
///
/// What the world does:
///
///     hello                the client greets, and the answers are not looked at
///     on recipient | start VERDICT
///     on store VERDICT [/ VERDICT…] | on store later
///     on login | starttls unavailable
///     on etrn started | nothing | pending [NUMBER] | unable WHY | not-allowed WHY
///     on atrn granted | none | unable WHY | refused WHY, or: on atrn later
///     atrn granted         the answer that was put off
///     store INDEX VERDICT [/ VERDICT…]
///     drain, timeout idle | total | output, early
///
/// What must have happened: `message TEXT`, `no-message`, `abandoned`, `not-abandoned`, `closed`, `open`, `sender PATH`,
/// `recipients ADDRESS…`, `mailboxes NAME…`, `name NAME`, `repeat yes | no`, `with KEYWORD`, `adds-line-end yes | no`, `hops NUMBER`,
/// `content KIND`, `path SITE,…`, `held-for NODE…`, `body KIND`, `begins-with-blank yes | no`,
/// `delivered-to ADDRESS…`, `message-id yes | no`, `asked-queue TARGET USER`, `asked-turn USER DOMAIN…`, `turned`. VERDICT is `accepted`, or `deferred` or `refused` with code, status and text.
struct SMTPDialogue {
    /// What was wrong, and where.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let file: ScenarioFile
    private var settings = SMTPServerSettings(hostname: "mx.example.test", service: .mx)
    private var limits: [String: Int] = [:]
    private(set) var isWhole = false
    private var server: SMTPDialogueServer?
    private var heard: [UInt8] = []
    /// How many bytes are given to the session at a time.
    private let pieces: (Int) -> Int

    /// - Parameter pieces: how many of the bytes that are left come next; all of them in the plain run.
    init(_ file: ScenarioFile, pieces: @escaping (Int) -> Int = { $0 }) {
        self.file = file
        self.pieces = pieces
    }

    mutating func run() throws {
        var sending: [UInt8] = []
        for (index, step) in file.steps.enumerated() {
            do {
                if case .client(let bytes) = step.kind {
                    sending += bytes
                    if file.steps.count > index + 1, case .client = file.steps[index + 1].kind { continue }
                    try nothingHeard()
                    try send(sending)
                    sending = []
                } else {
                    try perform(step.kind)
                }
            } catch {
                throw Failure(description: "\(file.name):\(step.line): \(error)")
            }
        }
        try nothingHeard()
    }

    private mutating func perform(_ kind: ScenarioFile.Step.Kind) throws {
        switch kind {
        case .client: break
        case .server(let bytes, let isWhole): try expect(bytes, isWhole: isWhole)
        case .directive("set", let text): try set(text.split(separator: " ").map(String.init))
        case .directive("early", _):
            let server = SMTPDialogueServer(settings)
            self.server = server
            server.earlyTalk()
        case .directive("hello", _): try hello()
        case .directive(let word, let text):
            guard let server = try opened() else { return }
            if try !happen(word, text, server) { try check(word, text, server) }
        }
    }

    private mutating func opened() throws -> SMTPDialogueServer? {
        if let server { return server }
        let server = SMTPDialogueServer(settings)
        self.server = server
        server.open()
        return server
    }

    private mutating func send(_ bytes: [UInt8]) throws {
        guard let server = try opened() else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = isWhole ? rest.count : min(rest.count, max(1, pieces(rest.count)))
            server.receive(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
    }

    private mutating func hello() throws {
        let server = try opened()
        heard += server?.takeOutput() ?? []
        heard = []
        let verb = settings.service.isLMTP ? "LHLO" : "EHLO"
        try send(Array("\(verb) client.example\r\n".utf8))
        _ = server?.takeOutput()
    }

    private mutating func expect(_ bytes: [UInt8], isWhole: Bool) throws {
        heard += try opened()?.takeOutput() ?? []
        guard let end = heard.firstIndex(of: 10) else { throw Failure(description: "the server said nothing") }
        let line = Array(heard[...end])
        heard.removeFirst(line.count)
        let matches = isWhole ? line == bytes + [13, 10] : line.starts(with: bytes)
        if !matches { throw Failure(description: "the server said \(ScenarioFile.escaped(line))") }
    }

    private mutating func nothingHeard() throws {
        heard += server?.takeOutput() ?? []
        if !heard.isEmpty { throw Failure(description: "the server also said \(ScenarioFile.escaped(heard))") }
    }

    private mutating func set(_ words: [String]) throws {
        switch words.first {
        case "service": settings = try with(SMTPService(rawValue: words[1]))
        case "tls":
            settings.offersStartTLS = words[1] == "offered"
            settings.startsWithTLS = words[1] == "on"
        case "auth": settings.mechanisms = words.dropFirst().compactMap { SASLMechanism(rawValue: $0) }
        case "auth-without-tls": settings.requiresTLSForAuthentication = false
        case "sites": settings.takesSites = true
        case "etrn": settings.offersETRN = true
        case "atrn": settings.offersATRN = true
        case "whole": isWhole = true
        case "limit": try limit(words[1], Int(words[2]) ?? 0)
        default: throw Failure(description: "nothing to set")
        }
    }

    private func with(_ service: SMTPService?) throws -> SMTPServerSettings {
        guard let service else { throw Failure(description: "no such service") }
        return SMTPServerSettings(hostname: "mx.example.test", service: service, limits: settings.limits)
    }

    private mutating func limit(_ name: String, _ value: Int) throws {
        switch name {
        case "messageBytesMax": settings.limits.messageBytesMax = value
        case "recipientsMax": settings.limits.recipientsMax = value
        case "commandLineBytesMax": settings.limits.commandLineBytesMax = value
        case "authenticationLineBytesMax": settings.limits.authenticationLineBytesMax = value
        case "textLineBytesMax": settings.limits.textLineBytesMax = value
        case "commandsWithoutMailMax": settings.limits.commandsWithoutMailMax = value
        case "errorsMax": settings.limits.errorsMax = value
        case "refusedRecipientsMax": settings.limits.refusedRecipientsMax = value
        case "authenticationFailuresMax": settings.limits.authenticationFailuresMax = value
        case "transactionsMax": settings.limits.transactionsMax = value
        case "receivedMax": settings.limits.receivedMax = value
        case "transactionsInFlightMax": settings.limits.transactionsInFlightMax = value
        default: throw Failure(description: "no such limit")
        }
    }
}
