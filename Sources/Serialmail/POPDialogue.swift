import POP3

/// The client's end of a POP3 connection, one command at a time.
final class POPDialogue {
    private let input: TimedReader
    private let output: TimedWriter
    private var session = POP3ClientSession()

    init(_ context: ProgramContext) {
        input = TimedReader(context.networkInput, timeout: context.patience ?? .seconds(600))
        output = TimedWriter(context.networkOutput, timeout: context.patience ?? .seconds(73))
    }

    func greeting() throws(ProgramExit) -> POP3Reply {
        guard case .greeting(let reply) = try next().event else { throw MaildirPop.fatal("protocol violation") }
        return reply
    }

    /// Sends a command and reads its reply.
    ///
    /// - Parameter take: gets the lines of a listing, or the pieces of a message.
    func ask(
        _ command: POP3ClientCommand, take: ([UInt8]) throws(ProgramExit) -> Void = { _ in }
    ) throws(ProgramExit) -> POP3Reply {
        session.send(command)
        do throws(DescriptorFailure) {
            try output.put(session.takeOutput())
            try output.flush()
        } catch {
            throw MaildirPop.fatal("network write error: \(error.text)")
        }
        guard case .reply(_, let reply) = try next().event else { throw MaildirPop.fatal("protocol violation") }
        guard reply.isOK, command.isMultiLine else { return reply }
        while true {
            let (event, bytes) = try next()
            switch event {
            case .line, .body: try take(bytes)
            case .end: return reply
            default: throw MaildirPop.fatal("protocol violation")
            }
        }
    }

    /// The next event, and the bytes that it names.
    private func next() throws(ProgramExit) -> (event: POP3ClientSession.Event, bytes: [UInt8]) {
        while true {
            let step = input.unread.withUnsafeBytes { session.receive($0) }
            var bytes: [UInt8] = []
            if case .line(let range) = step.event { bytes = Array(input.unread[range]) }
            if case .body(let range) = step.event { bytes = Array(input.unread[range]) }
            input.drop(step.consumed)
            switch step.event {
            case .needBytes: try fill()
            case .violation(let what): throw MaildirPop.fatal("protocol violation: \(what)")
            default: return (step.event, bytes)
            }
        }
    }

    private func fill() throws(ProgramExit) {
        do throws(DescriptorFailure) {
            if try !input.fill() { throw DescriptorFailure.closed }
        } catch {
            throw MaildirPop.fatal("network read error: \(error.text)")
        }
    }
}
