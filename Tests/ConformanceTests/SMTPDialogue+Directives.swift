import Mail
import SASL
import SMTP

/// What the world does, and what must have happened.
extension SMTPDialogue {
    /// False if the word is no event.
    func happen(_ word: String, _ text: String, _ server: SMTPDialogueServer) throws -> Bool {
        switch word {
        case "on": try prepare(text, server)
        case "drain": server.drain()
        case "atrn": server.answerTurn(try turnAnswer(text))
        case "timeout": server.timeOut(text == "idle" ? .idle : text == "total" ? .total : .output)
        case "store":
            let words = text.split(separator: " ", maxSplits: 1).map(String.init)
            guard words.count == 2, let index = Int(words[0]), server.store(index, try verdicts(words[1])) else {
                throw Failure(description: "no such message awaits its outcome")
            }
        default: return false
        }
        return true
    }

    private func prepare(_ text: String, _ server: SMTPDialogueServer) throws {
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        switch words.first {
        case "recipient": server.answers.recipients += try verdicts(words[1])
        case "start": server.answers.starts += try verdicts(words[1])
        case "store": server.answers.stores.append(words[1] == "later" ? nil : try verdicts(words[1]))
        case "starttls": server.hasCertificate = false
        case "etrn": server.answers.queues.append(try queueAnswer(words[1]))
        case "atrn": server.answers.turns.append(words[1] == "later" ? nil : try turnAnswer(words[1]))
        case "login": server.answers.logins.append(.unavailable(Reason(454, "4.7.0", "directory is down")))
        default: throw Failure(description: "nothing to answer")
        }
    }

    private func verdicts(_ text: String) throws -> [Verdict] {
        try text.split(separator: "/").map { part in
            let words = part.split(separator: " ", maxSplits: 3).map(String.init)
            if words == ["accepted"] { return .accepted }
            guard words.count == 4, let code = Int(words[1]) else { throw Failure(description: "no verdict: \(part)") }
            let reason = Reason(code, words[2], String(words[3]).trimmed)
            return words[0] == "deferred" ? .deferred(reason) : .refused(reason)
        }
    }

    private func queueAnswer(_ text: String) throws -> ETRNAnswer {
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        switch (words[0], words.last ?? "") {
        case ("started", _): return .started
        case ("nothing", _): return .nothingWaiting
        case ("pending", let count): return .pending(Int(count))
        case ("unable", let why): return .unable(why)
        case ("not-allowed", let why): return .notAllowed(why)
        default: throw Failure(description: "no answer to ETRN: \(text)")
        }
    }

    private func turnAnswer(_ text: String) throws -> ATRNAnswer {
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        switch (words[0], words.last ?? "") {
        case ("granted", _): return .granted
        case ("none", _): return .noMail
        case ("unable", let why): return .unable(why)
        case ("refused", let why): return .refused(why)
        default: throw Failure(description: "no answer to ATRN: \(text)")
        }
    }

    func check(_ word: String, _ text: String, _ server: SMTPDialogueServer) throws {
        switch word {
        case "message":
            guard let wanted = ScenarioFile.unescaped(text), let message = server.takeMessage() else {
                throw Failure(description: "no message came")
            }
            try same(ScenarioFile.escaped(message), ScenarioFile.escaped(wanted))
        case "no-message": try same(server.messages.count, 0)
        case "abandoned": try same(server.takeAbandoned(), 1)
        case "not-abandoned": try same(server.takeAbandoned(), 0)
        case "closed", "open": try same(server.isClosed, word == "closed")
        case "asked-queue":
            let asked = server.askedQueue.map { "\($0.target) \($0.user?.address.description ?? "nobody")" }
            try same(asked, text)
        case "asked-turn":
            let asked = server.askedTurn.map { ([$0.user.address.description] + $0.domains).joined(separator: " ") }
            try same(asked, text)
        case "turned": try same(server.hasTurned, true)
        case "adds-line-end": try same(server.summary?.appendLineEnd, text == "yes")
        case "hops": try same(server.summary?.header.receivedCount, Int(text))
        case "message-id": try same(server.summary?.header.hasMessageID, text == "yes")
        case "begins-with-blank": try same(server.summary?.header.beginsWithBlank, text == "yes")
        case "delivered-to":
            try same(server.summary?.header.deliveredTo, text.split(separator: " ").map(String.init))
        default: try checkEnvelope(word, text, server.envelope)
        }
    }

    private func checkEnvelope(_ word: String, _ text: String, _ envelope: SMTPEnvelope?) throws {
        guard let envelope else { throw Failure(description: "no message was begun") }
        let addresses = envelope.recipients.map(\.address.description)
        switch word {
        case "sender": try same(envelope.sender.description, text)
        case "recipients": try same(addresses.joined(separator: " "), text)
        case "mailboxes":
            try same(envelope.recipients.map { $0.mailbox?.description ?? "-" }.joined(separator: " "), text)
        case "path": try same(envelope.sitePath?.text ?? "none", text)
        case "content": try same(envelope.content.rawValue, text)
        case "held-for": try same(envelope.recipients.map { $0.heldFor ?? "-" }.joined(separator: " "), text)
        case "body": try same(envelope.body?.rawValue ?? "-", text)
        case "name": try same(envelope.name?.text, text)
        case "repeat": try same(envelope.isRepeat, text == "yes")
        case "alike": try same(envelope.isAlike, text == "yes")
        case "with": try same(envelope.trace.transmission, text)
        case "user": try same(envelope.user?.address.description ?? "nobody", text)
        case "utf8": try same(envelope.utf8, text == "yes")
        default: throw Failure(description: "no such directive: \(word)")
        }
    }

    private func same<Value: Equatable>(_ is: Value, _ wanted: Value) throws {
        if `is` != wanted { throw Failure(description: "it is \(`is`), not \(wanted)") }
    }
}

extension String {
    fileprivate var trimmed: String { hasSuffix(" ") ? String(dropLast()) : self }
}
