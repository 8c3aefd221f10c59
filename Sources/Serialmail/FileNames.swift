import Mail
import Maildirs

/// What a client of maildirserial says and hears: `name NUL` in; `name NUL`, K, Z or D, a line of text out.
struct ResultWriter {
    private let output: TimedWriter
    private let remoteAddress: String?

    /// Octets of a text with its letter.
    static let textBytesMax = 2000

    init(_ context: ProgramContext) {
        output = TimedWriter(context.output, timeout: nil)
        remoteAddress = context.environment["TCPREMOTEIP"]
    }

    /// Tells what the peer has said.
    func tell(_ name: [UInt8], _ letter: Character, peerSaid text: [UInt8]) throws(DescriptorFailure) {
        let said = remoteAddress.map { Array("\($0) said: ".utf8) } ?? []
        try tell(name, letter, said + text)
    }

    func tell(_ name: [UInt8], _ letter: Character, _ text: [UInt8]) throws(DescriptorFailure) {
        let line = Printable.bytes((Array(String(letter).utf8) + text).prefix(Self.textBytesMax))
        try output.put(name + [0] + line + [UInt8(ascii: "\n")])
        try output.flush()
    }
}

/// A message that a client was told to send, or what to tell of it instead.
enum NamedMessage {
    case message(SpoolMessage, SpoolEnvelope, recipient: [UInt8])
    /// It is left for later: it is gone, or cannot be read, or has no envelope for this prefix.
    case unusable(String)

    init(_ name: [UInt8], prefix: [UInt8], _ context: ProgramContext) {
        do throws(MaildirError) {
            let message = try SpoolMessage(name, below: context.directory)
            guard let envelope = message.envelope else {
                self = .unusable("bad file format")
                return
            }
            guard let recipient = envelope.recipient(without: prefix) else {
                self = .unusable("recipient does not begin with the prefix")
                return
            }
            self = .message(message, envelope, recipient: recipient)
        } catch {
            self = .unusable("unable to read file: \(error)")
        }
    }
}
