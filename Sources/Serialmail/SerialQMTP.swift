import Glibc
import Maildirs
import QMTP

/// `serialqmtp`: sends the messages whose file names come in, over one QMTP connection, ahead of the replies.
struct SerialQMTP: Program {
    static let name = "serialqmtp"
    static let abstract = "Sends the files named on descriptor 0 by QMTP over descriptors 6 and 7."
    static let usage = "prefix"

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    func run() throws(ProgramExit) -> Int32 {
        guard let prefix = context.arguments.first else { throw Self.usageExit }
        let sending = SerialQMTPSending(context, prefix: Array(prefix.utf8))
        while try sending.goOn() {}
        return 0
    }
}

/// One connection: what is to be written, and whose reply comes next.
private final class SerialQMTPSending {
    private let context: ProgramContext
    private let prefix: [UInt8]
    private var session = QMTPClientSession()
    private let names: TimedReader
    private let replies: TimedReader
    private let results: ResultWriter
    private var namesEnded = false
    /// Whose replies are awaited, oldest first.
    private var sent: [[UInt8]] = []
    /// The file being sent, and where it goes on.
    private var current: (message: SpoolMessage, at: Int, tail: [UInt8])?
    private var output: [UInt8] = []

    init(_ context: ProgramContext, prefix: [UInt8]) {
        self.context = context
        self.prefix = prefix
        names = TimedReader(context.input, timeout: nil)
        replies = TimedReader(context.networkInput, timeout: nil)
        results = ResultWriter(context)
    }

    /// Does what can be done, then waits for more; false when all is said and answered.
    func goOn() throws(ProgramExit) -> Bool {
        try prepareOutput()
        if namesEnded, output.isEmpty, current == nil, session.unanswered == 0 { return false }
        let wantsNames = !namesEnded && output.isEmpty && current == nil
        let ready = try wait(wantsNames: wantsNames)
        if ready == [0, 0, 0] { throw SerialQMTP.fatal("network read error: \(Printable.error(ETIMEDOUT))") }
        if ready[0] != 0 { try readNames() }
        if ready[1] != 0 { try readReplies() }
        if ready[2] != 0 { try writeSome() }
        return true
    }

    /// Only while something is under way does the peer's silence count.
    private func wait(wantsNames: Bool) throws(ProgramExit) -> [Int32] {
        let isIdle = session.unanswered == 0 && output.isEmpty
        do throws(DescriptorFailure) {
            return try Readiness.wait(
                [
                    (wantsNames ? context.input : -1, Int32(POLLIN)),
                    (context.networkInput, Int32(POLLIN)),
                    (output.isEmpty ? -1 : context.networkOutput, Int32(POLLOUT)),
                ], timeout: isIdle ? nil : context.patience ?? .seconds(3600))
        } catch {
            throw SerialQMTP.fatal("unable to wait: \(error.text)")
        }
    }

    /// Takes names that have come, and begins with the next message.
    private func prepareOutput() throws(ProgramExit) {
        while output.isEmpty {
            if current != nil {
                try readFile()
            } else if let end = names.unread.firstIndex(of: 0) {
                let name = Array(names.unread[..<end])
                names.drop(end + 1)
                try begin(name)
            } else {
                return
            }
        }
    }

    private func begin(_ name: [UInt8]) throws(ProgramExit) {
        switch NamedMessage(name, prefix: prefix, context) {
        case .unusable(let why):
            try write { () throws(DescriptorFailure) in try results.tell(name, "Z", Array(why.utf8)) }
        case .message(let message, let envelope, let recipient):
            let frame = session.begin(
                sender: WireAddress.unquoted(envelope.sender), recipients: [WireAddress.unquoted(recipient)],
                byteCount: message.size - message.textStart, lineEnds: .lf)
            sent.append(name)
            output = frame.head
            current = (message, message.textStart, frame.tail)
        }
    }

    private func readFile() throws(ProgramExit) {
        guard let (message, at, tail) = current else { return }
        if at == message.size {
            output = tail
            current = nil
            return
        }
        let piece = try? message.piece(at: at).prefix(message.size - at)
        // A file that shrinks cannot be sent in the length that was announced.
        guard let piece, !piece.isEmpty else { throw SerialQMTP.fatal("unable to read file") }
        output = Array(piece)
        current?.at += piece.count
    }

    private func writeSome() throws(ProgramExit) {
        do throws(DescriptorFailure) {
            output.removeFirst(try PromptWrite.some(of: output[...], to: context.networkOutput))
        } catch {
            throw SerialQMTP.fatal("unable to write to network")
        }
    }

    private func readNames() throws(ProgramExit) {
        do throws(DescriptorFailure) {
            if try !names.fill() { namesEnded = true }
        } catch {
            throw SerialQMTP.fatal("unable to read input: \(error.text)")
        }
    }

    private func readReplies() throws(ProgramExit) {
        let isOpen: Bool
        do throws(DescriptorFailure) {
            isOpen = try replies.fill()
        } catch {
            throw SerialQMTP.fatal("network read error: \(error.text)")
        }
        while true {
            let step = replies.unread.withUnsafeBytes { session.receive($0) }
            replies.drop(step.consumed)
            switch step.event {
            case .needBytes:
                if !isOpen { throw SerialQMTP.fatal("network read error: end of file") }
                return
            case .violation:
                throw SerialQMTP.fatal("remote protocol violation")
            case .replies(let told):
                let name = sent.removeFirst()
                guard let reply = told.first else { continue }
                try write { () throws(DescriptorFailure) in
                    try results.tell(name, reply.kind.letter, peerSaid: reply.text)
                }
            }
        }
    }

    private func write(_ body: () throws(DescriptorFailure) -> Void) throws(ProgramExit) {
        do throws(DescriptorFailure) {
            try body()
        } catch {
            throw SerialQMTP.fatal("unable to write output: \(error.text)")
        }
    }
}

extension QMTPReply.Kind {
    var letter: Character { Character(UnicodeScalar(rawValue)) }
}
