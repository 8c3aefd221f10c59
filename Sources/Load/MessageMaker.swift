/// Makes the messages of one run, by number: the same number gives the same message.
struct MessageMaker: Sendable {
    /// Different for each run, so that no run takes another's messages for its own.
    let run: String
    let sender: String
    let sizes: SizeDistribution
    /// Messages to send instead of made ones, by turns; with CRLF line ends.
    let files: [[UInt8]]
    private let seed: UInt64
    private let text: [UInt8]

    /// - Parameter run: letters and digits.
    init(run: String, sender: String, sizes: SizeDistribution, files: [[UInt8]] = []) {
        self.run = run
        self.sender = sender
        self.sizes = sizes
        self.files = files
        seed = run.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        text = Self.makeText(seed: seed)
    }

    func token(_ number: Int) -> String { "\(run)-\(number)" }

    func message(_ number: Int, recipient: String) -> [UInt8] {
        let token = token(number)
        if !files.isEmpty {
            let file = files[number % files.count]
            return LoadMessage.make(token: token, contentOctets: file.count) { $0.append(contentsOf: file) }
        }
        let size = sizes.size(of: number, seed: seed)
        let header = Array(
            """
            From: <\(sender)>\r
            To: <\(recipient)>\r
            Subject: message \(number)\r
            Message-ID: <\(token)@load.test>\r
            \r\n
            """.utf8)
        // Without room for a line the header is all.
        let wanted = size - LoadMessage.firstLineOctets(token: token, contentOctets: size)
        let octets = wanted < header.count + 2 ? header.count : wanted
        return LoadMessage.make(token: token, contentOctets: octets) { message in
            message.append(contentsOf: header)
            if octets > header.count { append(octets - header.count, to: &message, from: number) }
        }
    }

    /// Appends lines of text, so many octets, two at least; for each number from another line on.
    private func append(_ octets: Int, to message: inout [UInt8], from number: Int) {
        var left = octets - 2
        var at = (number % (text.count / Self.lineOctets)) * Self.lineOctets
        while left > 0 {
            let piece = min(left, text.count - at)
            text.withUnsafeBytes { message.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[at..<at + piece])) }
            left -= piece
            at = 0
        }
        if message.last == UInt8(ascii: "\r") { message[message.count - 1] = UInt8(ascii: ".") }
        message.append(contentsOf: "\r\n".utf8)
    }

    private static let lineOctets = 74

    /// 64 KiB of lines that look like text; some begin with a dot, so that transparency (RFC 5321 §4.5.2) is at work.
    private static func makeText(seed: UInt64) -> [UInt8] {
        let letters = Array("abcdefghijklmnopqrstuvwxyz     .,".utf8)
        var random = SplitMix(seed: seed)
        var text: [UInt8] = []
        while text.count < 64 << 10 {
            let first = random.next() % 16 == 0 ? UInt8(ascii: ".") : UInt8(ascii: "A")
            text.append(first)
            for _ in 0..<lineOctets - 3 { text.append(letters[Int(random.next() % UInt64(letters.count))]) }
            text.append(contentsOf: "\r\n".utf8)
        }
        return text
    }
}
