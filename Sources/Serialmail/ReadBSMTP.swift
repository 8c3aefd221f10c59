import Glibc

/// The exit codes that uuxqt and other callers of mail programs know (sysexits.h).
enum SystemExit {
    static let usage: Int32 = 64
    static let badData: Int32 = 65
    static let tryAgain: Int32 = 75
}

/// `rsmtp`: takes a batch of SMTP on descriptor 0 and passes its messages on.
struct ReadBSMTP: Program {
    static let name = "rsmtp"
    static let abstract = "Takes a batch of SMTP on descriptor 0 and passes its messages on."
    static let usage = """
        [ -d maildir ] [ -p prefix ]

        Each message goes to the program SERIALMAIL_INJECT (by default sendmail), or with -d or SERIALMAIL_MAILDIR into a
        Maildir, its recipients with the prefix in front. It ends with 0 when all is safe, 65 at something that is no
        batch or has no end, 75 when another try may help. Messages that were whole before are passed on all the same.
        """

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    /// Octets of one line.
    private static let lineBytesMax = 16 << 20

    func run() throws(ProgramExit) -> Int32 {
        guard let options = OptionScanner(context.arguments, "d:p:"), options.rest.isEmpty else {
            throw ProgramExit(SystemExit.usage, Self.usageExit.message)
        }
        let target = InjectionTarget(
            context, maildir: options.value("d") ?? context.environment["SERIALMAIL_MAILDIR"],
            prefix: options.value("p") ?? "")
        let input = TimedReader(context.input, timeout: nil)
        var parser = BatchParser()
        var injection: Injection?
        while let line = try next(input) {
            try act(on: try Self.event(of: line, &parser), &injection, target)
        }
        guard parser.isBetweenMessages, input.unread.isEmpty else {
            throw ProgramExit(SystemExit.badData, "rsmtp: fatal: the batch ends inside of a transaction")
        }
        return 0
    }

    private static func event(
        of line: [UInt8], _ parser: inout BatchParser
    ) throws(ProgramExit) -> BatchParser.Event {
        do throws(BatchParser.Violation) {
            return try parser.take(line)
        } catch {
            throw ProgramExit(SystemExit.badData, "rsmtp: fatal: \(error.text)")
        }
    }

    private func act(
        on event: BatchParser.Event, _ injection: inout Injection?, _ target: InjectionTarget
    ) throws(ProgramExit) {
        do throws(InjectionFailure) {
            switch event {
            case .nothing, .quit:
                break
            case .begin(let sender, let recipients):
                injection = try Injection(
                    target, sender: Array(sender.utf8), recipients: recipients.map { Array($0.utf8) }, context)
            case .text(let line):
                try injection?.append(line)
            case .end:
                _ = try injection?.commit()
                injection = nil
            }
        } catch {
            throw error.exit(Self.name)
        }
    }

    private func next(_ input: TimedReader) throws(ProgramExit) -> [UInt8]? {
        do throws(DescriptorFailure) {
            return try input.take(upTo: UInt8(ascii: "\n"), bytesMax: Self.lineBytesMax)
        } catch {
            let code = error.errorNumber == EMSGSIZE ? SystemExit.badData : SystemExit.tryAgain
            throw ProgramExit(code, "rsmtp: fatal: unable to read the batch: \(error.text)")
        }
    }
}

extension InjectionFailure {
    func exit(_ program: String) -> ProgramExit {
        ProgramExit(isTemporary ? SystemExit.tryAgain : SystemExit.badData, "\(program): fatal: \(text)")
    }
}
