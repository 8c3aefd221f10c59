import Glibc

/// One reply of an SMTP server, as lenient as serialsmtp has always been: LF ends a line too.
struct DialogueReply: Hashable {
    let code: Int
    /// With code, without line end.
    let lines: [[UInt8]]

    var lastLine: [UInt8] { lines.last ?? [] }
    /// K, Z or D.
    var letter: Character { code >= 500 ? "D" : code >= 400 ? "Z" : "K" }
    var isRefusal: Bool { code >= 400 }

    /// Whether a line behind the first is this keyword (RFC 5321 §4.1.1.1).
    func offers(_ keyword: String) -> Bool {
        lines.dropFirst().contains { line in
            let word = line.dropFirst(4).prefix { $0 != UInt8(ascii: " ") }
            return String(decoding: word, as: UTF8.self).uppercased() == keyword
        }
    }

    /// The code and whether more lines follow; nil if it is no line of a reply.
    static func parse(_ line: [UInt8]) -> (code: Int, isLast: Bool)? {
        guard line.count >= 3 else { return nil }
        var code = 0
        for byte in line.prefix(3) {
            guard (0x30...0x39).contains(byte) else { return nil }
            code = code * 10 + Int(byte - 0x30)
        }
        return (code, line.count == 3 || line[3] != UInt8(ascii: "-"))
    }
}

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
