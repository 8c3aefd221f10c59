import Glibc

/// `rmail`: takes one message from UUCP on descriptor 0, with its sender in `From ` lines, and passes it on.
struct ReceiveMail: Program {
    static let name = "rmail"
    static let abstract = "Takes a message of UUCP on descriptor 0 and passes it on to the addresses."
    static let usage = """
        [ -d maildir ] [ -p prefix ] address ...

        The message goes where rsmtp's would, and the exit codes are the same. The first lines tell the sender:
        From NAME DATE remote from HOST; several of them make the path host!host!name.
        """

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    private static let lineBytesMax = 64 << 10
    private static let fromLinesMax = 100

    func run() throws(ProgramExit) -> Int32 {
        guard let options = OptionScanner(context.arguments, "d:p:"), !options.rest.isEmpty,
            !options.rest.contains(where: { $0.isEmpty || $0.utf8.contains { $0 < 0x20 || $0 == 0x7F } })
        else { throw ProgramExit(SystemExit.usage, Self.usageExit.message) }
        let target = InjectionTarget(
            context, maildir: options.value("d") ?? context.environment["SERIALMAIL_MAILDIR"],
            prefix: options.value("p") ?? "")
        let input = TimedReader(context.input, timeout: nil)
        let sender = try readSender(input)
        do throws(InjectionFailure) {
            let injection = try Injection(
                target, sender: Array(sender.utf8), recipients: options.rest.map { Array($0.utf8) }, context)
            try copy(input, to: injection)
            _ = try injection.commit()
        } catch {
            throw error.exit(Self.name)
        }
        return 0
    }

    /// Takes the `From ` lines off; what follows them stays unread.
    private func readSender(_ input: TimedReader) throws(ProgramExit) -> String {
        var envelope = UUCPEnvelope()
        do throws(DescriptorFailure) {
            for _ in 0..<Self.fromLinesMax {
                while input.unread.count < UUCPEnvelope.markBytes, try input.fill() {}
                guard UUCPEnvelope.isMark(input.unread) else { break }
                guard let line = try input.take(upTo: UInt8(ascii: "\n"), bytesMax: Self.lineBytesMax) else { break }
                envelope.take(line)
            }
        } catch {
            let code = error.errorNumber == EMSGSIZE ? SystemExit.badData : SystemExit.tryAgain
            throw ProgramExit(code, "rmail: fatal: unable to read the message: \(error.text)")
        }
        guard let sender = envelope.sender else {
            throw ProgramExit(SystemExit.badData, "rmail: fatal: the message does not begin with a From line")
        }
        return sender
    }

    private func copy(_ input: TimedReader, to injection: Injection) throws(InjectionFailure) {
        do throws(DescriptorFailure) {
            repeat {
                try append(input.unread, to: injection)
                input.drop(input.unread.count)
            } while try input.fill()
        } catch {
            throw InjectionFailure(text: "unable to read the message: \(error.text)")
        }
    }

    private func append(_ bytes: [UInt8], to injection: Injection) throws(DescriptorFailure) {
        do throws(InjectionFailure) { try injection.append(bytes) } catch {
            throw DescriptorFailure(errorNumber: EPIPE)
        }
    }
}
