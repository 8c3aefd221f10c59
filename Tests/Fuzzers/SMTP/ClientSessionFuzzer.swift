import Mail
import SMTP

/// A client session that hears anything in any pieces: it never traps, and every transaction has one outcome.
func fuzzSMTPClientSession(_ input: UnsafeRawBufferPointer) {
    guard input.count > 3 else { return }
    FuzzedClient(input).run(Array(input.dropFirst(3)), piece: 1 + Int(input[2]) % 64)
}

private final class FuzzedClient {
    private var session: SMTPClientSession
    private var recipients: [SMTPTransactionID: Int] = [:]
    private var abandoned: Set<SMTPTransactionID> = []
    private var streaming: SMTPTransactionID?
    private var outcomes = 0
    private var isClosed = false
    private let choices: UInt8

    init(_ input: UnsafeRawBufferPointer) {
        choices = input[1]
        session = SMTPClientSession(
            settings: SMTPClientSettings(
                mode: input[0] & 1 == 0 ? .smtp : .lmtp, clientName: "client.example",
                startTLS: input[0] & 2 == 0 ? .never : .ifOffered,
                credentials: input[0] & 4 == 0
                    ? nil : .init(user: "a", password: "b", allowsPlainWithoutTLS: true), usesChunks: input[0] & 8 == 0,
                pipelines: input[0] & 16 == 0, transactionsInFlightMax: input[0] & 32 == 0 ? 1 : 4),
            nonce: input[0] & 64 == 0 ? nil : "fyko+d2lbbFgONRv9qkxdawL")
    }

    func run(_ bytes: [UInt8], piece: Int) {
        for number in 0..<6 { add(UInt64(number)) }
        perform()
        var unread: [UInt8] = []
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + piece)
            unread += bytes[at..<end]
            at = end
            let consumed = unread.withUnsafeBytes { session.receive($0) }
            precondition(consumed <= unread.count, "consumed too much")
            unread.removeFirst(consumed)
            precondition(unread.count < 4096, "holds \(unread.count) bytes")
            perform()
        }
        session.quit()
        perform()
        session.connectionLost()
        perform()
        precondition(isClosed && recipients.isEmpty && session.load == 0, "left over: \(recipients)")
    }

    private func add(_ number: UInt64) {
        let id = SMTPTransactionID(number)
        guard let address = EmailAddress("a@example.test"), let mailbox = MailboxName("a@example.test") else { return }
        let count = Int(number % 3) + 1
        let isNamed = choices & 1 != 0
        let transaction = SMTPClientTransaction(
            id: id, sender: number % 2 == 0 ? .null : .address(address),
            recipients: Array(repeating: SMTPRecipient(address: address, mailbox: mailbox), count: count), byteCount: 3,
            name: isNamed ? MessageIdentity("n\(number)") : nil)
        recipients[id] = count
        if choices & 2 != 0, number == 2 || number == 4 {
            session.beginStreaming(transaction)
        } else {
            session.submit(transaction)
        }
    }

    private func perform() {
        while true {
            let events = session.takeEvents()
            for event in events { perform(event) }
            if events.isEmpty { break }
        }
        stream()
        let output = session.takeOutput()
        precondition(output.isEmpty || output.suffix(2) == [13, 10], "half a command")
    }

    private func stream() {
        guard let id = streaming else { return }
        if choices & 4 != 0 {
            session.abandonStreaming(id)
            // An outcome that was not told is not told any more.
            if recipients.removeValue(forKey: id) != nil { abandoned.insert(id) }
            streaming = nil
        } else if !session.chunk(id, byteCount: 3, isLast: choices & 8 != 0) {
            streaming = nil
        }
    }

    private func perform(_ event: SMTPClientSession.Event) {
        precondition(!isClosed, "an event after the end: \(event)")
        switch event {
        case .startTLS: session.tlsStarted()
        case .ready: break
        case .bodyWanted(let id, _): session.bodySent(id)
        case .startedStreaming(let id): streaming = id
        case .verdicts(let id, let verdicts):
            precondition(recipients.removeValue(forKey: id) == verdicts.count, "\(verdicts.count) verdicts")
        case .interrupted(let id, _):
            precondition(recipients.removeValue(forKey: id) != nil, "two outcomes")
        case .closed: isClosed = true
        }
    }
}
