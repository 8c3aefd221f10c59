import Mail
import Maildirs
import POP3

/// Fetches every message of a maildrop: each is durable here before it is deleted there.
struct POPFetch {
    let dialogue: POPDialogue
    let maildir: Maildir
    /// What lies in the Maildir already.
    let known: Set<String>
    let names: POPNames
    let keeps: Bool
    let log: Diagnostics

    func run(_ login: POPLogin) throws(ProgramExit) {
        let greeting = try dialogue.greeting()
        guard greeting.isOK else { throw MaildirPop.fatal("connected but greeting failed: \(shown(greeting))") }
        for command in login.commands(timestamp: greeting.timestamp) {
            let reply = try dialogue.ask(command)
            guard reply.isOK else { throw MaildirPop.fatal("login failed: \(shown(reply))") }
        }
        let listed = try listUniqueIDs()
        // RFC 1939 §7 lets two messages have one UIDL: then it tells nothing.
        let counts = Dictionary(listed.map { ($0.uniqueID, 1) }, uniquingKeysWith: +)
        for (number, uniqueID) in listed {
            try fetch(number, as: counts[uniqueID] == 1 ? names.name(of: uniqueID) : nil)
        }
        let farewell = try dialogue.ask(.quit)
        guard farewell.isOK else { throw MaildirPop.fatal("server did not delete: \(shown(farewell))") }
        log.say("maildirpop: info: \(listed.count) messages")
    }

    /// Every message with its UIDL; empty ones where the server has none.
    private func listUniqueIDs() throws(ProgramExit) -> [(number: Int, uniqueID: [UInt8])] {
        var found: [(number: Int, uniqueID: [UInt8])] = []
        let reply = try dialogue.ask(.uidl) { line throws(ProgramExit) in found.append(try Self.entry(line)) }
        if reply.isOK { return found }
        let list = try dialogue.ask(.list) { line throws(ProgramExit) in found.append((try Self.entry(line).number, []))
        }
        guard list.isOK else { throw MaildirPop.fatal("unable to list: \(shown(list))") }
        return found
    }

    /// `number SP unique-id` (RFC 1939 §7), or `number SP size`.
    private static func entry(_ line: [UInt8]) throws(ProgramExit) -> (number: Int, uniqueID: [UInt8]) {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 1)
        let digits = words.first.map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard words.count == 2, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits) else {
            throw MaildirPop.fatal("protocol violation: a listing that is none")
        }
        return (number, Array(words[1]))
    }

    private func fetch(_ number: Int, as name: MessageIdentity?) throws(ProgramExit) {
        if let failure = try store(number, as: name) { throw MaildirPop.fatal("\(failure)") }
        if keeps { return }
        let reply = try dialogue.ask(.dele(number))
        guard reply.isOK else { throw MaildirPop.fatal("unable to delete message \(number): \(shown(reply))") }
    }

    /// - Returns: why it could not be kept; nil if it is durable.
    private func store(_ number: Int, as name: MessageIdentity?) throws(ProgramExit) -> MaildirError? {
        let delivery: MaildirDelivery
        do throws(MaildirError) { delivery = try maildir.deliver() } catch { return error }
        var lineEnds = LineFeeds()
        var failure: MaildirError?
        let reply = try dialogue.ask(.retr(number)) { piece throws(ProgramExit) in
            guard failure == nil else { return }
            do throws(MaildirError) { try delivery.append(lineEnds.decode(piece)) } catch { failure = error }
        }
        guard reply.isOK else { throw MaildirPop.fatal("unable to read message \(number): \(shown(reply))") }
        if let failure { return failure }
        do throws(MaildirError) {
            try delivery.append(lineEnds.finish())
            // Of the same size and UIDL, from the same mailbox: the one that was fetched before a connection broke.
            if name != nil, known.contains(delivery.fileName(as: name)) { return nil }
            _ = try delivery.commit(as: name)
            return nil
        } catch {
            return error
        }
    }

    private func shown(_ reply: POP3Reply) -> String { Printable.text(reply.text.utf8.prefix(500)) }
}

/// Turns CRLF into LF, piece by piece.
struct LineFeeds {
    private var holdsCR = false

    mutating func decode(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + 1)
        for byte in bytes {
            if holdsCR, byte != UInt8(ascii: "\n") { output.append(UInt8(ascii: "\r")) }
            holdsCR = byte == UInt8(ascii: "\r")
            if !holdsCR { output.append(byte) }
        }
        return output
    }

    /// A CR at the very end is part of the message.
    mutating func finish() -> [UInt8] {
        defer { holdsCR = false }
        return holdsCR ? [UInt8(ascii: "\r")] : []
    }
}
