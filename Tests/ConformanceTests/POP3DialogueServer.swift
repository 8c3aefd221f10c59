import Mail
import POP3
import SASL

/// The server of a dialogue: sessions of the product, and a small world of accounts and messages around them.
struct POP3DialogueServer {
    private let dialogue: POP3Dialogue
    private var session: POP3ServerSession
    private var output: [UInt8] = []
    private var isClosed = false
    private var unread: [UInt8] = []
    private var gone: Set<String> = []
    private var unreadable: Set<String> = []
    private var deleted: [String] = []
    private var opened: [String] = []
    private var isTLS = false
    private var isDirectoryDown = false
    private var storeRefusal: POP3ResponseCode?
    private var keptFromDeletion: Set<String> = []
    private var tlsHangs = false
    private var isWaiting = false
    private var exchanges = 0

    init(_ dialogue: POP3Dialogue) {
        self.dialogue = dialogue
        session = POP3ServerSession(
            settings: dialogue.settings, nonce: dialogue.nonce, seconds: dialogue.seconds,
            challenges: CRAMMD5.Challenges(
                seed: Array(0..<16), seconds: dialogue.seconds, hostname: dialogue.settings.hostname))
        session.opened()
        run()
    }

    /// The next line that the server wrote, with its CRLF, or what there is of it. Nil if it wrote nothing.
    mutating func takeLine() -> [UInt8]? {
        guard !output.isEmpty else { return nil }
        let end = output.indices.first { $0 > 0 && output[$0] == 10 && output[$0 - 1] == 13 } ?? output.count - 1
        defer { output.removeFirst(end + 1) }
        return Array(output[...end])
    }

    /// The client sends.
    mutating func receive(_ bytes: some Collection<UInt8>) {
        unread += bytes
        run()
    }

    /// What happens: `timeout`, `gone UIDL` (another session removes it), `unreadable UIDL`, `directory down | up`, `store
    /// down | in-use | up`, `deletion-fails UIDL`, `tls-hangs` (the client does not begin it). What must be so: `closed`, `open`, `tls`, `deleted [UIDL…]`, `opened [NAME [UTF8] [TAG]]`.
    mutating func world(_ word: String, _ words: [String]) throws -> Bool {
        switch word {
        case "timeout":
            session.timedOut()
            isWaiting = false
            run()
        case "gone": gone.formUnion(words)
        case "directory": isDirectoryDown = words == ["down"]
        case "store": storeRefusal = words == ["down"] ? .systemTemporary : words == ["in-use"] ? .inUse : nil
        case "unreadable": unreadable.formUnion(words)
        case "deletion-fails": keptFromDeletion.formUnion(words)
        case "tls-hangs": tlsHangs = true
        case "closed": return isClosed
        case "open": return !isClosed
        case "tls": return isTLS
        case "deleted": return deleted == words
        case "opened": return opened == words
        default: throw ScenarioFile.Malformed(description: "the world knows no \(word)")
        }
        return true
    }

    private mutating func run() {
        while !isClosed, !isWaiting {
            let step = unread.withUnsafeBytes { session.receive($0) }
            unread.removeFirst(step.consumed)
            if step.action == .needBytes { break }
            carryOut(step.action)
        }
        output += session.takeOutput()
    }

    private mutating func carryOut(_ action: POP3ServerSession.Action) {
        switch action {
        case .needBytes, .proceed, .proofChecked: break
        case .flushOutput: output += session.takeOutput()
        case .authenticate(let request): authenticate(request)
        case .openMaildrop(let request): open(request)
        case .startTLS: startTLS()
        case .sendMessage(let index, let topLines): send(index, topLines)
        case .deleteAndClose(let indices): delete(indices)
        case .beginStreams: session.streamsBegin()
        case .digest, .drain, .relayed, .flush, .status, .listPartition, .repair, .order, .listTombstones,
            .readTombstone:
            session.replicaFailed("not here")
        case .close: isClosed = true
        }
    }

    private mutating func delete(_ indices: [Int]) {
        let names = indices.map { dialogue.messages[$0].uidl }
        let removed = names.filter { !keptFromDeletion.contains($0) }
        deleted += removed
        session.deleted(failures: names.count - removed.count)
    }

    private mutating func startTLS() {
        output += session.takeOutput()
        isWaiting = tlsHangs
        guard !tlsHangs else { return }
        isTLS = true
        session.tlsStarted()
    }
}

// MARK: - The directory

extension POP3DialogueServer {
    private mutating func authenticate(_ request: AuthenticationRequest) {
        exchanges += 1
        session.authenticationAnswered(answer(request), nonce: "\(dialogue.nonce).\(exchanges)")
    }

    private func answer(_ request: AuthenticationRequest) -> AuthenticationAnswer {
        if isDirectoryDown { return .unavailable(Reason(451, "4.3.0", "directory is not available")) }
        let secret = dialogue.accounts[request.user]
        switch request {
        case .password(_, let password):
            return secret == password ? known(request.user) : .rejected
        case .apop(_, let challenge, let digest):
            return secret.flatMap { APOP.digest(challenge: challenge, secret: $0) } == digest
                ? known(request.user) : .rejected
        case .cramMD5(_, let challenge, let digest):
            return secret.flatMap { CRAMMD5.digest(challenge: challenge, secret: $0) } == digest
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
        guard dialogue.isCluster else { return }
        opened = []
        var client = POP3ClientSession()
        client.send(.xopen(request.mailbox, utf8: request.utf8, language: request.language))
        var settings = dialogue.settings
        settings.service = .node
        session = POP3ServerSession(settings: settings, nonce: "", seconds: 0)
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

    private mutating func send(_ index: Int, _ topLines: Int?) {
        let message = dialogue.messages[index]
        if gone.contains(message.uidl) { return session.messageGone() }
        if unreadable.contains(message.uidl) { return session.messageFailed() }
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
