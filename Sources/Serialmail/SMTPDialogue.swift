import Glibc

/// The client's end of an SMTP connection.
struct SMTPDialogue {
    enum Failure: Error {
        case read(DescriptorFailure)
        case write(DescriptorFailure)
        case file(String)
        case protocolViolation

        var text: String {
            switch self {
            case .read(let failure): "network read error: \(failure.text)"
            case .write(let failure): "network write error: \(failure.text)"
            case .file(let text): "unable to read file: \(text)"
            case .protocolViolation: "protocol violation"
            }
        }
    }

    private let input: TimedReader
    private let output: TimedWriter
    private static let lineBytesMax = 8 << 10
    private static let linesMax = 1000

    init(_ context: ProgramContext) {
        input = TimedReader(context.networkInput, timeout: context.patience ?? .seconds(81))
        output = TimedWriter(context.networkOutput, timeout: context.patience ?? .seconds(73))
    }

    func reply() throws(Failure) -> DialogueReply {
        var lines: [[UInt8]] = []
        while lines.count < Self.linesMax {
            var line = try self.line()
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            guard let (code, isLast) = DialogueReply.parse(line) else { throw .protocolViolation }
            lines.append(line)
            if isLast { return DialogueReply(code: code, lines: lines) }
        }
        throw .protocolViolation
    }

    private func line() throws(Failure) -> [UInt8] {
        let line: [UInt8]?
        do throws(DescriptorFailure) {
            line = try input.take(upTo: UInt8(ascii: "\n"), bytesMax: Self.lineBytesMax)
        } catch {
            throw error.errorNumber == EMSGSIZE ? .protocolViolation : .read(error)
        }
        guard let line else { throw .read(.closed) }
        return line
    }

    func put(_ bytes: [UInt8]) throws(Failure) {
        do throws(DescriptorFailure) { try output.put(bytes) } catch { throw .write(error) }
    }

    func flush() throws(Failure) {
        do throws(DescriptorFailure) { try output.flush() } catch { throw .write(error) }
    }

    /// Sends a line and reads its reply.
    func ask(_ line: [UInt8]) throws(Failure) -> DialogueReply {
        try put(line + [UInt8(ascii: "\r"), UInt8(ascii: "\n")])
        try flush()
        return try reply()
    }
}
