import Glibc
import Maildirs
import SMTP

/// `maildirbsmtp`: writes a Maildir's messages as one batch of SMTP (as UUCP carries it, RFC 2442 with -c), and removes
/// those that are in it once it is safe.
struct MaildirBSMTP: Program {
    static let name = "maildirbsmtp"
    static let abstract =
        "Writes a Maildir's messages as a batch of SMTP to descriptor 1 or to a program, and removes them."
    static let usage = """
        [ -c ] dir prefix helohost [ program [ arg ... ] ]

        Lines end with LF; -c ends them with CRLF. Messages are removed after the batch was written, and synced if it went
        to a file, and after the program, if there is one, has ended with 0.

          maildirbsmtp Maildir bob- here.example uux -r -gC - there!rsmtp
        """

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    func run() throws(ProgramExit) -> Int32 {
        guard let options = OptionScanner(context.arguments, "c"), options.rest.count >= 3 else { throw Self.usageExit }
        let maildir: Maildir
        let names: [[UInt8]]
        do throws(MaildirError) {
            maildir = try Maildir(context.resolved(options.rest[0]))
            try? maildir.removeStaleTmp()
            names = try maildir.scan().map(\.name)
        } catch {
            throw Self.fatal("\(error)")
        }
        var batch = BatchOutput(context, command: Array(options.rest[3...]))
        var writer = BatchWriter(
            maildir: maildir, prefix: Array(options.rest[1].utf8), endsWithCRLF: options.isOn("c"),
            log: Diagnostics(context.diagnostics))
        do throws(ProgramExit) {
            try writer.write(names, helloName: options.rest[2], to: &batch)
            try batch.finish()
        } catch {
            batch.abandon()
            throw error
        }
        return writer.remove() ? 0 : 111
    }
}

/// Where a batch goes: descriptor 1, or a program's descriptor 0. Nothing is begun before there is something to write.
struct BatchOutput {
    private let context: ProgramContext
    private let command: [String]
    private var child: ChildProcess?
    private var descriptor: Int32 = -1
    /// Where the batch begins, if it goes to a file that can be cut again.
    private var start: off_t?

    init(_ context: ProgramContext, command: [String]) {
        self.context = context
        self.command = command
    }

    mutating func put(_ bytes: [UInt8]) throws(ProgramExit) {
        if descriptor < 0 { try open() }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw MaildirBSMTP.fatal("unable to write the batch: \(Printable.error(errno))")
            }
            rest = rest.dropFirst(count)
        }
    }

    private mutating func open() throws(ProgramExit) {
        guard !command.isEmpty else {
            descriptor = context.output
            start = isFile ? lseek(descriptor, 0, SEEK_CUR) : nil
            return
        }
        do throws(DescriptorFailure) {
            let pipe = try Pipe()
            defer { close(pipe.output) }
            descriptor = pipe.input
            child = try ChildProcess.start(
                command, environment: context.environment,
                descriptors: [0: pipe.output, 1: context.output, 2: context.diagnostics])
        } catch {
            throw MaildirBSMTP.fatal("unable to run \(command[0]): \(error.text)")
        }
    }

    private var isFile: Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The batch is whole: makes sure that it is kept.
    mutating func finish() throws(ProgramExit) {
        guard descriptor >= 0 else { return }
        if let child {
            close(descriptor)
            self.child = nil
            let ending = child.wait()
            guard ending == .exited(0) else {
                throw MaildirBSMTP.fatal("\(command[0]) did not take the batch: \(ending)")
            }
        } else if isFile {
            while fsync(descriptor) != 0 {
                if errno != EINTR { throw MaildirBSMTP.fatal("unable to sync the batch: \(Printable.error(errno))") }
            }
        }
    }

    /// Nobody is to take what was written for a batch.
    mutating func abandon() {
        if let child {
            child.kill()
            close(descriptor)
            _ = child.wait()
        } else if let start, start >= 0 {
            _ = ftruncate(descriptor, start)
        }
    }
}

/// Writes messages as SMTP commands without replies.
private struct BatchWriter {
    let maildir: Maildir
    let prefix: [UInt8]
    let endsWithCRLF: Bool
    let log: Diagnostics
    private var written: [[UInt8]] = []
    private var someAreLeft = false

    init(maildir: Maildir, prefix: [UInt8], endsWithCRLF: Bool, log: Diagnostics) {
        self.maildir = maildir
        self.prefix = prefix
        self.endsWithCRLF = endsWithCRLF
        self.log = log
    }

    mutating func write(_ names: [[UInt8]], helloName: String, to batch: inout BatchOutput) throws(ProgramExit) {
        for name in names {
            guard let (message, sender, recipient) = open(name) else { continue }
            if written.isEmpty { try batch.put(line("HELO \(helloName)")) }
            try batch.put(line(bytes: Array("MAIL FROM:<".utf8) + sender + [UInt8(ascii: ">")]))
            try batch.put(line(bytes: Array("RCPT TO:<".utf8) + recipient + [UInt8(ascii: ">")]))
            try batch.put(line("DATA"))
            try writeText(message, to: &batch)
            written.append(name)
        }
        if !written.isEmpty { try batch.put(line("QUIT")) }
    }

    /// False if a message of this prefix stays.
    func remove() -> Bool {
        var allAreGone = !someAreLeft
        for name in written {
            do throws(MaildirError) {
                try maildir.remove(name)
                log.say("maildirbsmtp: info: \(Printable.text(name)) succeeded: written")
            } catch {
                log.say("maildirbsmtp: warning: message will be delivered twice! \(error)")
                allAreGone = false
            }
        }
        return allAreGone
    }

    /// Nil for what is left: another prefix's, or, with a warning, what cannot be sent.
    private mutating func open(_ name: [UInt8]) -> (SpoolMessage, sender: [UInt8], recipient: [UInt8])? {
        do throws(MaildirError) {
            let message = try maildir.open(name)
            guard let envelope = message.envelope else {
                if prefix.isEmpty { leave(name, "bad file format") }
                return nil
            }
            guard let recipient = envelope.recipient(without: prefix) else { return nil }
            guard let sender = WireAddress.quoted(envelope.sender), let to = WireAddress.quoted(recipient) else {
                leave(name, "an address cannot be written in SMTP")
                return nil
            }
            return (message, sender, to)
        } catch {
            leave(name, "\(error)")
            return nil
        }
    }

    private mutating func leave(_ name: [UInt8], _ why: String) {
        log.say("maildirbsmtp: warning: unable to send \(Printable.text(name)): \(why)")
        someAreLeft = true
    }

    private func writeText(_ message: SpoolMessage, to batch: inout BatchOutput) throws(ProgramExit) {
        var lineEnds = LineEndEncoder()
        var dots = DotStuffer()
        var lineFeeds = LineFeeds()
        var at = message.textStart
        while at < message.size {
            guard let piece = try? message.piece(at: at).prefix(message.size - at), !piece.isEmpty else {
                throw MaildirBSMTP.fatal("unable to read file")
            }
            at += piece.count
            var output: [UInt8] = []
            lineEnds.encode(Array(piece)).withUnsafeBytes { dots.encode($0, into: &output) }
            try batch.put(endsWithCRLF ? output : lineFeeds.decode(output))
        }
        var end: [UInt8] = []
        dots.finish(into: &end)
        try batch.put(endsWithCRLF ? end : lineFeeds.decode(end))
    }

    private func line(_ text: String) -> [UInt8] { line(bytes: Array(text.utf8)) }

    private func line(bytes: [UInt8]) -> [UInt8] {
        bytes + (endsWithCRLF ? [UInt8(ascii: "\r"), UInt8(ascii: "\n")] : [UInt8(ascii: "\n")])
    }
}
