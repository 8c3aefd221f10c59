import Mail
import POP3
import SASL

/// The server of a dialogue: sessions of the product, and a small world of accounts and messages around them.
///
/// Settings: `hostname NAME`, `nonce TEXT`, `seconds N`, `mechanisms [NAME ...]`, `errorsMax N`, `loginFailuresMax N`,
/// and the flags `offersAPOP`, `offersStartTLS`, `startsWithTLS`, `requiresTLSForPlaintext`.
///
/// World lines that do: `timeout`, `gone UIDL` (another session removes it), `directory down`, `store down`, `store
/// in-use`, `deletion fails`. World lines that demand: `closed`, `open`, `tls`, `deleted [UIDL ...]`, `opened NAME`.
struct POP3DialogueServer {
    private let dialogue: POP3Dialogue
    private var session: POP3ServerSession
    /// Everything that it wrote.
    private(set) var output: [UInt8] = []
    private(set) var isClosed = false
    private var unread: [UInt8] = []
    private var gone: Set<String> = []
    private var deleted: [String] = []
    private var opened: [String] = []
    private var isTLS = false
    private var isDirectoryDown = false
    private var storeRefusal: POP3ResponseCode?
    private var deletionFails = false

    init(_ dialogue: POP3Dialogue) {
        self.dialogue = dialogue
        session = Self.session(dialogue, dialogue.service == "node" ? .node : .frontend)
        session.opened()
        run()
    }

    private static func session(_ dialogue: POP3Dialogue, _ service: POP3Service) -> POP3ServerSession {
        var settings = POP3ServerSettings(hostname: "mail.example.test", service: service)
        var nonce = "0123456789abcdefghij"
        var seconds: Int64 = 1000
        for setting in dialogue.settings {
            let words = setting.split(separator: " ").map(String.init)
            let value = words.count > 1 ? words[1] : ""
            switch words[0] {
            case "hostname": settings.hostname = value
            case "nonce": nonce = value
            case "seconds": seconds = Int64(value) ?? 0
            case "mechanisms": settings.mechanisms = words.dropFirst().compactMap { SASLMechanism(rawValue: $0) }
            case "errorsMax": settings.limits.errorsMax = Int(value) ?? 0
            case "loginFailuresMax": settings.limits.loginFailuresMax = Int(value) ?? 0
            case "offersAPOP": settings.offersAPOP = true
            case "offersStartTLS": settings.offersStartTLS = true
            case "startsWithTLS": settings.startsWithTLS = true
            case "requiresTLSForPlaintext": settings.requiresTLSForPlaintext = true
            default: preconditionFailure("unknown setting \(setting)")
            }
        }
        return POP3ServerSession(settings: settings, nonce: nonce, seconds: seconds)
    }

    /// The client sends.
    mutating func receive(_ bytes: some Collection<UInt8>) {
        unread += bytes
        run()
    }

    /// Does what a world line says, or says whether it is so.
    mutating func world(_ line: String) -> Bool {
        let words = line.split(separator: " ").map(String.init)
        switch words[0] {
        case "timeout":
            session.timedOut()
            run()
        case "gone": gone.formUnion(words.dropFirst())
        case "directory": isDirectoryDown = words[1] == "down"
        case "store": storeRefusal = words[1] == "down" ? .systemTemporary : words[1] == "in-use" ? .inUse : nil
        case "deletion": deletionFails = true
        case "closed": return isClosed
        case "open": return !isClosed
        case "tls": return isTLS
        case "deleted": return deleted == Array(words.dropFirst())
        case "opened": return opened == Array(words.dropFirst())
        default: preconditionFailure("unknown world line \(line)")
        }
        return true
    }

    private mutating func run() {
        while !isClosed {
            let step = unread.withUnsafeBytes { session.receive($0) }
            unread.removeFirst(step.consumed)
            if step.action == .needBytes { break }
            carryOut(step.action)
        }
        output += session.takeOutput()
    }

    private mutating func carryOut(_ action: POP3ServerSession.Action) {
        switch action {
        case .needBytes, .proceed: break
        case .flushOutput: output += session.takeOutput()
        case .authenticate(let request): session.authenticationAnswered(answer(request))
        case .openMaildrop(let request): open(request)
        case .startTLS:
            output += session.takeOutput()
            isTLS = true
            session.tlsStarted()
        case .sendMessage(let index, let uidl, let topLines): send(index, uidl, topLines)
        case .deleteAndClose(let indices): delete(indices)
        case .close: isClosed = true
        }
    }

    private mutating func delete(_ indices: [Int]) {
        if !deletionFails { deleted += indices.map { dialogue.messages[$0].uidl } }
        session.deleted(failures: deletionFails ? indices.count : 0)
    }
}

// MARK: - The directory

extension POP3DialogueServer {
    private func answer(_ request: AuthenticationRequest) -> AuthenticationAnswer {
        if isDirectoryDown { return .unavailable(Reason(451, "4.3.0", "directory is not available")) }
        let secret = dialogue.accounts[request.user]
        switch request {
        case .password(_, let password):
            return secret == password ? known(request.user) : .rejected
        case .apop(_, let challenge, let digest):
            return secret.flatMap { APOP.digest(challenge: challenge, secret: $0) } == digest
                ? known(request.user) : .rejected
        case .scramCredentials:
            guard let secret, let salt = Base64.decode(Array("W22ZaJ0SNY7soEsUEjb6gQ==".utf8)),
                case .user(let user) = known(request.user)
            else { return .credentials(nil, nil) }
            return .credentials(SCRAMCredentials(password: secret, salt: salt), user)
        }
    }

    private func known(_ name: String) -> AuthenticationAnswer {
        let text = name.contains("@") ? name : "\(name)@example.test"
        guard let address = EmailAddress(text), let mailbox = MailboxName(text) else { return .rejected }
        return .user(AuthenticatedUser(address: address, mailbox: mailbox))
    }
}

// MARK: - The store

extension POP3DialogueServer {
    private mutating func open(_ request: POP3OpenRequest) {
        if let storeRefusal { return session.maildropFailed(storeRefusal, "the maildrop cannot be opened now") }
        opened += ["\(request.mailbox)"] + (request.utf8 ? ["UTF8"] : []) + (request.language.map { [$0] } ?? [])
        guard request.address == nil else { return join(request) }
        session.maildropOpened(
            dialogue.messages.map { MaildropEntry(uidl: $0.uidl, octets: Self.wire($0.text).count) })
    }

    /// What a frontend does: says XOPEN to the node, and leaves the conversation to it.
    private mutating func join(_ request: POP3OpenRequest) {
        session.maildropOpened()
        output += session.takeOutput()
        guard dialogue.service == "cluster" else { return }
        opened = []
        var client = POP3ClientSession()
        client.send(.xopen(request.mailbox, utf8: request.utf8, language: request.language))
        session = Self.session(dialogue, .node)
        session.opened()
        let rest = unread
        let soFar = output.count
        unread = client.takeOutput()
        run()
        var replies = Array(output[soFar...])
        output.removeSubrange(soFar...)
        while !replies.isEmpty { replies.removeFirst(replies.withUnsafeBytes { client.receive($0) }.consumed) }
        precondition(client.isIdle, "the node did not open")
        unread = rest
    }

    private mutating func send(_ index: Int, _ uidl: String, _ topLines: Int?) {
        let message = dialogue.messages[index]
        precondition(message.uidl == uidl, "\(uidl) is not message \(index)")
        if gone.contains(uidl) { return session.messageGone() }
        session.messageFound(octets: Self.wire(message.text).count)
        output += session.takeOutput()
        var encoder = POP3MessageEncoder(topLines: topLines)
        let text = Array(message.text.utf8)
        let room = POP3MessageEncoder.maximumOutputBytes(forInput: text.count) + POP3MessageEncoder.finishBytesMax
        output += [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            count = text.withUnsafeBytes { encoder.encode($0, into: bytes) }
            count += encoder.finish(into: UnsafeMutableRawBufferPointer(rebasing: bytes[count...]))
        }
        session.messageSent()
    }

    private static func wire(_ text: String) -> [UInt8] {
        text.utf8.flatMap { $0 == 10 ? [13, 10] : [$0] }
    }
}
