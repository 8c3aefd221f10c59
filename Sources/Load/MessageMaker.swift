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
        if !files.isEmpty { return LoadMessage.make(token: token, content: files[number % files.count]) }
        let size = sizes.size(of: number, seed: seed)
        var content = Array(
            """
            From: <\(sender)>\r
            To: <\(recipient)>\r
            Subject: message \(number)\r
            Message-ID: <\(token)@load.test>\r
            \r\n
            """.utf8)
        fill(&content, to: size - LoadMessage.firstLineOctets(token: token, contentOctets: size), from: number)
        return LoadMessage.make(token: token, content: content)
    }

    /// Appends lines of text up to that size, if there is room; for each number from another line on.
    private func fill(_ content: inout [UInt8], to size: Int, from number: Int) {
        guard content.count + 2 <= size else { return }
        content.reserveCapacity(size)
        var at = (number % (text.count / Self.lineOctets)) * Self.lineOctets
        while content.count + 2 < size {
            let piece = min(size - 2 - content.count, text.count - at)
            content.append(contentsOf: text[at..<at + piece])
            at = 0
        }
        if content.last == UInt8(ascii: "\r") { content[content.count - 1] = UInt8(ascii: ".") }
        content.append(contentsOf: "\r\n".utf8)
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
