import Glibc
import Maildirs
import SMTP

/// `serialsmtp`: sends the messages whose file names come in, over one SMTP connection.
struct SerialSMTP: Program {
    static let name = "serialsmtp"
    static let abstract = "Sends the files named on descriptor 0 by SMTP over descriptors 6 and 7."
    static let usage = "prefix helohost"

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    /// What a message's outcome is when it was not asked for: the connection can go on.
    private enum Stop: Error {
        case dialogue(SMTPDialogue.Failure)
        case exit(ProgramExit)
    }

    func run() throws(ProgramExit) -> Int32 {
        guard context.arguments.count >= 2 else { throw Self.usageExit }
        let prefix = Array(context.arguments[0].utf8)
        do throws(Stop) {
            try sendAll(prefix: prefix, helloName: Array(context.arguments[1].utf8))
        } catch {
            switch error {
            case .dialogue(let failure): throw Self.fatal(failure.text)
            case .exit(let exit): throw exit
            }
        }
        return 0
    }

    private func sendAll(prefix: [UInt8], helloName: [UInt8]) throws(Stop) {
        let dialogue = SMTPDialogue(context)
        let pipelines = try introduce(dialogue, helloName)
        let names = TimedReader(context.input, timeout: nil)
        let results = ResultWriter(context)
        var needsReset = false
        while let name = try next(names) {
            switch NamedMessage(name, prefix: prefix, context) {
            case .unusable(let why):
                try tell { () throws(DescriptorFailure) in try results.tell(name, "Z", Array(why.utf8)) }
            case .message(let message, let envelope, let recipient):
                guard let sender = WireAddress.quoted(envelope.sender), let to = WireAddress.quoted(recipient) else {
                    try tell { () throws(DescriptorFailure) in
                        try results.tell(name, "D", Array("an address cannot be written in SMTP (#5.1.3)".utf8))
                    }
                    continue
                }
                try refusePartialLine(message)
                let transaction = SerialTransaction(
                    dialogue: dialogue, message: message, sender: sender, recipient: to, pipelines: pipelines)
                let reply = try transact { () throws(SMTPDialogue.Failure) in
                    try transaction.run(resetsFirst: needsReset)
                }
                needsReset = true
                try tell { () throws(DescriptorFailure) in
                    try results.tell(name, reply.letter, peerSaid: reply.lastLine)
                }
            }
        }
        // All is told; a server that does not hear it loses nothing.
        try? dialogue.put(Array("QUIT\r\n".utf8))
        try? dialogue.flush()
    }

    /// Greets.
    ///
    /// - Returns: whether the server offers PIPELINING.
    private func introduce(_ dialogue: SMTPDialogue, _ helloName: [UInt8]) throws(Stop) -> Bool {
        let greeting = try transact { () throws(SMTPDialogue.Failure) in try dialogue.reply() }
        guard greeting.code == 220 else { throw quit(dialogue, "connected but greeting failed") }
        let extended = try transact { () throws(SMTPDialogue.Failure) in
            try dialogue.ask(Array("EHLO ".utf8) + helloName)
        }
        if extended.code == 250 { return extended.offers("PIPELINING") }
        let plain = try transact { () throws(SMTPDialogue.Failure) in
            try dialogue.ask(Array("HELO ".utf8) + helloName)
        }
        guard plain.code == 250 else { throw quit(dialogue, "connected but my name was rejected") }
        return false
    }

    private func quit(_ dialogue: SMTPDialogue, _ text: String) -> Stop {
        try? dialogue.put(Array("QUIT\r\n".utf8))
        try? dialogue.flush()
        return .exit(Self.fatal(text))
    }

    private func next(_ names: TimedReader) throws(Stop) -> [UInt8]? {
        do throws(DescriptorFailure) {
            return try names.take(upTo: 0, bytesMax: 64 << 10)
        } catch {
            throw .exit(Self.fatal("unable to read input: \(error.text)"))
        }
    }

    /// serialsmtp stops at a message whose last line has no end; SMTP can carry it with one (RFC 5321 §4.1.1.4).
    private func refusePartialLine(_ message: SpoolMessage) throws(Stop) {
        guard context.environment["SERIALMAIL_STRICT"] != nil, message.size > message.textStart else { return }
        if (try? message.piece(at: message.size - 1))?.last != UInt8(ascii: "\n") {
            throw .exit(Self.fatal("SMTP cannot transfer messages with partial final lines"))
        }
    }

    private func transact<Value>(
        _ body: () throws(SMTPDialogue.Failure) -> Value
    ) throws(Stop) -> Value {
        do throws(SMTPDialogue.Failure) { return try body() } catch { throw .dialogue(error) }
    }

    private func tell(_ body: () throws(DescriptorFailure) -> Void) throws(Stop) {
        do throws(DescriptorFailure) {
            try body()
        } catch {
            throw .exit(Self.fatal("unable to write output: \(error.text)"))
        }
    }
}

/// One message over SMTP, for one recipient (RFC 5321 §3.3).
struct SerialTransaction {
    let dialogue: SMTPDialogue
    let message: SpoolMessage
    let sender: [UInt8]
    let recipient: [UInt8]
    let pipelines: Bool

    /// - Returns: the reply that decides.
    func run(resetsFirst: Bool) throws(SMTPDialogue.Failure) -> DialogueReply {
        var commands = [Array("MAIL FROM:<".utf8) + sender + [UInt8(ascii: ">")]]
        commands.append(Array("RCPT TO:<".utf8) + recipient + [UInt8(ascii: ">")])
        commands.append(Array("DATA".utf8))
        if resetsFirst { commands.insert(Array("RSET".utf8), at: 0) }
        if let refusal = try pipelines ? sendTogether(commands, resetsFirst) : sendSingly(commands, resetsFirst) {
            return refusal
        }
        try sendText()
        return try dialogue.reply()
    }

    /// Nil if all was accepted.
    private func sendSingly(_ commands: [[UInt8]], _ resetsFirst: Bool) throws(SMTPDialogue.Failure) -> DialogueReply? {
        for (index, command) in commands.enumerated() {
            let reply = try dialogue.ask(command)
            guard reply.isRefusal else { continue }
            if resetsFirst, index == 0 { throw .protocolViolation }
            return reply
        }
        return nil
    }

    /// RFC 2920 §3.1: every command of the group has its reply, whatever became of the first.
    private func sendTogether(
        _ commands: [[UInt8]], _ resetsFirst: Bool
    ) throws(SMTPDialogue.Failure) -> DialogueReply? {
        try dialogue.put(Array(commands.joined(separator: [UInt8(ascii: "\r"), UInt8(ascii: "\n")])))
        try dialogue.put([UInt8(ascii: "\r"), UInt8(ascii: "\n")])
        try dialogue.flush()
        var refusal: DialogueReply?
        for index in commands.indices {
            let reply = try dialogue.reply()
            if resetsFirst, index == 0 {
                if reply.isRefusal { throw .protocolViolation }
                continue
            }
            if reply.isRefusal {
                refusal = refusal ?? reply
            } else if refusal != nil, index == commands.count - 1 {
                // It wants the text of a message that nobody gets.
                try dialogue.put(Array(".\r\n".utf8))
                try dialogue.flush()
                _ = try dialogue.reply()
            }
        }
        return refusal
    }

    private func sendText() throws(SMTPDialogue.Failure) {
        var lineEnds = LineEndEncoder()
        var dots = DotStuffer()
        var at = message.textStart
        while at < message.size {
            let piece = try read(at: at)
            at += piece.count
            var output: [UInt8] = []
            lineEnds.encode(piece).withUnsafeBytes { dots.encode($0, into: &output) }
            try dialogue.put(output)
        }
        var end: [UInt8] = []
        dots.finish(into: &end)
        try dialogue.put(end)
        try dialogue.flush()
    }

    /// A file that shrinks meanwhile must not be taken for a whole message.
    private func read(at offset: Int) throws(SMTPDialogue.Failure) -> [UInt8] {
        do throws(MaildirError) {
            let piece = Array(try message.piece(at: offset).prefix(message.size - offset))
            if piece.isEmpty { throw MaildirError.failed(operation: "read", path: "message", errno: EIO) }
            return piece
        } catch {
            throw .file("\(error)")
        }
    }
}
