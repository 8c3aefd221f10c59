import Mail
import POP3
import SASL

/// A server session of either service, any bytes in any pieces: it never traps, consumes only what there is, keeps its
/// output bounded, deletes only at QUIT, and says the same however the bytes are cut.
func fuzzPOP3ServerSession(_ input: UnsafeRawBufferPointer) {
    guard input.count > 2 else { return }
    let bytes = Array(input.dropFirst(2))
    var server = FuzzedPOP3Server(settings: input[0])
    let whole = server.run(bytes, piece: bytes.count)
    // What follows STLS or a SCRAM message in one piece ends the connection: only there may the cut matter.
    let mentionsSTLS = bytes.contains { $0 & 0xDF == UInt8(ascii: "S") } && input[0] & 2 != 0
    let mentionsSCRAM = String(decoding: bytes, as: UTF8.self).uppercased().contains("SCRAM")
    server = FuzzedPOP3Server(settings: input[0])
    let cut = server.run(bytes, piece: 1 + Int(input[1]) % 40)
    precondition(mentionsSTLS || mentionsSCRAM || whole == cut, "the replies depend on how the bytes were cut")
}

private struct FuzzedPOP3Server {
    var session: POP3ServerSession
    let isNode: Bool
    let answers: UInt8
    var output: [UInt8] = []

    init(settings: UInt8) {
        var choice = POP3ServerSettings(hostname: "mail.example.test", service: settings & 1 == 0 ? .frontend : .node)
        choice.offersStartTLS = settings & 2 != 0
        choice.requiresTLSForPlaintext = settings & 4 != 0
        choice.offersAPOP = settings & 8 != 0
        choice.limits.outputBytesMax = 256
        choice.mechanisms = [.scramSHA256, .plain, .cramMD5]
        session = POP3ServerSession(
            settings: choice, nonce: "abcdefghijklmnopqrstuvwxyz", seconds: 1,
            challenges: CRAMMD5.Challenges(seed: Array(0..<16), seconds: 1, hostname: choice.hostname))
        isNode = settings & 1 != 0
        answers = settings >> 4
    }

    mutating func run(_ bytes: [UInt8], piece: Int) -> [UInt8] {
        session.opened()
        var unread: [UInt8] = []
        var fed = 0
        while true {
            let step = unread.withUnsafeBytes { session.receive($0) }
            precondition(step.consumed <= unread.count, "consumed more than there is")
            unread.removeFirst(step.consumed)
            if step.action == .needBytes {
                precondition(unread.count <= 12_288, "keeps too much unread")
                guard fed < bytes.count else { break }
                unread += bytes[fed..<min(bytes.count, fed + max(1, piece))]
                fed += max(1, piece)
            } else if !carryOut(step.action) {
                break
            }
        }
        output += session.takeOutput()
        return output
    }

    private mutating func carryOut(_ action: POP3ServerSession.Action) -> Bool {
        switch action {
        case .needBytes, .proceed, .proofChecked: return true
        case .flushOutput:
            let piece = session.takeOutput()
            precondition(piece.count >= 256 && piece.count < 4096, "output of \(piece.count) octets")
            output += piece
        case .authenticate(let request): answer(request)
        case .openMaildrop: open()
        case .startTLS: session.tlsStarted()
        case .sendMessage(let index, _):
            precondition(index < 20, "a message that is not there")
            index % 5 == 4 ? session.messageGone() : session.messageFound(octets: 10)
            if index % 5 != 4 { session.messageSent() }
        case .deleteAndClose(let indices):
            precondition(!indices.isEmpty && indices == Array(Set(indices)).sorted(), "odd deletions")
            session.deleted(failures: answers & 1 == 0 ? 0 : 1)
        case .beginStreams: session.streamsBegin()
        case .digest, .drain, .relayed, .flush, .status, .listPartition, .repair, .order, .listTombstones,
            .readTombstone:
            session.replicaFailed("later")
        case .close: return false
        }
        return true
    }

    private mutating func answer(_ request: AuthenticationRequest) {
        let nonce = "abcdefghijklmnopqrstuvwxyz"
        guard let address = EmailAddress("a@example.test"), let mailbox = MailboxName("a@example.test") else { return }
        let user = AuthenticatedUser(address: address, mailbox: mailbox)
        switch (request, answers & 3) {
        case (_, 3): session.authenticationAnswered(.unavailable(Reason(451, "4.3.0", "later")), nonce: nonce)
        case (.scramCredentials, _): session.authenticationAnswered(.credentials(nil, user), nonce: nonce)
        case (_, 0): session.authenticationAnswered(.user(user), nonce: nonce)
        default: session.authenticationAnswered(.rejected, nonce: nonce)
        }
    }

    private mutating func open() {
        if answers & 4 != 0 { return session.maildropFailed(.inUse, "later") }
        guard isNode else { return session.maildropOpened() }
        if answers & 8 != 0 { return session.maildropOpened([MaildropEntry]()) }
        session.maildropOpened((0..<20).map { MaildropEntry(uidl: "id\($0)", octets: $0 * 100) })
    }
}
