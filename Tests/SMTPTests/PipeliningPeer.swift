import Mail
import SMTP

/// A server that reads one batch of bytes at a time and answers it with another, as over a slow link; it keeps what it
/// was given under the envelope that it believed in, so that a wrong envelope shows.
///
/// Who is asked to refuse is told by names: recipients `no…` at RCPT, senders `no…` at MAIL, texts `no…` at their end.
final class PipeliningPeer {
    struct Kept: Equatable {
        var sender: String
        var recipients: [String]
        var text: String
    }

    /// Whether a refused BDAT LAST leaves the envelope open, as RFC 3030 allows.
    var holdsEnvelopes = true
    /// Whether DATA is answered 354 although nobody was accepted (RFC 2920 §3.1).
    var asksForNobodysText = false
    let isLMTP: Bool
    private(set) var kept: [Kept] = []
    private var unread = ""
    private var isReading = false
    private var sender: String?
    private var recipients: [String] = []

    init(isLMTP: Bool = false) { self.isLMTP = isLMTP }

    /// - Returns: the replies to what is whole.
    func receive(_ batch: String) -> String {
        unread += batch
        var replies = ""
        while let reply = next() { replies += reply }
        return replies
    }

    private func next() -> String? {
        if isReading {
            guard
                let end = unread.firstRange(of: "\r\n.\r\n")
                    ?? (unread.hasPrefix(".\r\n") ? unread.firstRange(of: ".\r\n") : nil)
            else { return nil }
            let text = String(unread[..<end.lowerBound])
            unread = String(unread[end.upperBound...])
            isReading = false
            return finish(text, isData: true)
        }
        guard let end = unread.firstRange(of: "\r\n") else { return nil }
        let line = String(unread[..<end.lowerBound])
        if line.hasPrefix("BDAT ") {
            guard let count = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }),
                unread.utf8.count >= line.utf8.count + 2 + count
            else { return nil }
            let rest = unread.utf8.dropFirst(line.utf8.count + 2)
            let text = String(rest.prefix(count)) ?? ""
            unread = String(rest.dropFirst(count)) ?? ""
            return finish(text, isData: false)
        }
        unread = String(unread[end.upperBound...])
        return answer(line)
    }

    private func answer(_ line: String) -> String {
        let path = String(line.split(separator: "<").last?.split(separator: ">").first ?? "")
        switch line.prefix(4) {
        case "MAIL":
            if sender != nil { return "503 5.5.1 nested MAIL\r\n" }
            if path.hasPrefix("no") { return "550 5.7.1 not from you\r\n" }
            sender = path
            return "250 2.1.0 ok\r\n"
        case "RCPT":
            if sender == nil { return "503 5.5.1 MAIL first\r\n" }
            if path.hasPrefix("no") { return "550 5.1.1 nobody\r\n" }
            recipients.append(path)
            return "250 2.1.5 ok\r\n"
        case "DATA":
            if sender == nil || (recipients.isEmpty && !asksForNobodysText) { return "503 5.5.1 RCPT first\r\n" }
            isReading = true
            return "354 go\r\n"
        case "RSET":
            reset()
            return "250 2.0.0 ok\r\n"
        default: return "502 5.5.2 what?\r\n"
        }
    }

    private func finish(_ text: String, isData: Bool) -> String {
        defer { if isData || !holdsEnvelopes || (!recipients.isEmpty && !text.hasPrefix("no")) { reset() } }
        guard let sender, !recipients.isEmpty else { return "554 5.5.1 no valid recipients\r\n" }
        let reply = text.hasPrefix("no") ? "552 5.2.2 refused\r\n" : "250 2.0.0 kept\r\n"
        if !text.hasPrefix("no") { kept.append(Kept(sender: sender, recipients: recipients, text: text)) }
        return String(repeating: reply, count: isLMTP ? recipients.count : 1)
    }

    private func reset() {
        sender = nil
        recipients = []
    }
}

/// A client session and a peer: each batch that the client writes costs one round trip.
final class PipelinedRun {
    private var session: SMTPClientSession
    private let peer: PipeliningPeer
    private var texts: [SMTPTransactionID: String] = [:]
    private(set) var batches: [String] = []
    private(set) var verdicts: [UInt64: [Verdict]] = [:]
    private(set) var troubles: [SMTPClientSession.Event] = []

    init(_ peer: PipeliningPeer, offers: [String], inFlight: Int) {
        self.peer = peer
        session = SMTPClientSession(
            settings: SMTPClientSettings(
                mode: peer.isLMTP ? .lmtp : .smtp, clientName: "c", transactionsInFlightMax: inFlight))
        hear("220 mx\r\n")
        _ = session.takeOutput()
        hear((["mx"] + offers.dropLast()).map { "250-\($0)\r\n" }.joined() + "250 \(offers.last ?? "x")\r\n")
        _ = session.takeEvents()
    }

    func submit(_ number: UInt64, from sender: String, to recipients: [String], _ text: String) {
        let id = SMTPTransactionID(number)
        texts[id] = text
        session.submit(
            SMTPClientTransaction(
                id: id, sender: .address(EmailAddress(local: sender, domain: "x.test")),
                recipients: recipients.map { SMTPRecipient(address: EmailAddress(local: $0, domain: "y.test")) },
                byteCount: text.utf8.count, eightBit: false))
    }

    /// Goes on until nothing moves.
    func run() {
        var batch = written()
        while !batch.isEmpty {
            batches.append(batch)
            hear(peer.receive(batch))
            batch = written()
        }
    }

    /// Everything that the client writes before it has to wait.
    private func written() -> String {
        var batch = session.takeOutput().text
        var events = session.takeEvents()
        while !events.isEmpty {
            for event in events { batch += carriedOut(event) }
            batch += session.takeOutput().text
            events = session.takeEvents()
        }
        return batch
    }

    private func carriedOut(_ event: SMTPClientSession.Event) -> String {
        switch event {
        case .bodyWanted(let id, let form):
            let text = session.takeOutput().text + (texts[id] ?? "") + (form == .dotStuffed ? ".\r\n" : "")
            session.bodySent(id)
            return text
        case .verdicts(let id, let list):
            if verdicts[id.number] != nil { troubles.append(event) }
            verdicts[id.number] = list
        default: troubles.append(event)
        }
        return ""
    }

    private func hear(_ text: String) {
        let bytes = text.bytes
        let taken = bytes.withUnsafeBytes { session.receive($0) }
        precondition(taken == bytes.count, "half a reply")
    }
}
