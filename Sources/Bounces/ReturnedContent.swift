/// What of the original goes back with the notice (RFC 6522 §3): the whole message if it is small and can stand in a
/// message as it is, otherwise its header; bounded.
struct ReturnedContent {
    /// CRLF line ends.
    private let bytes: [UInt8]
    private let isWhole: Bool
    /// The original's own Message-ID with its angle brackets, if it has one that can be repeated.
    let messageID: String?

    private static let lineBytesMax = 998

    /// - Parameter isGlobal: whether the header of a message that is returned whole may hold UTF-8.
    init(_ failed: FailedMessage, plan: BouncePlan, isGlobal: Bool) {
        let header = Self.header(failed.content, max: plan.headerBytesMax)
        messageID = Self.messageID(header)
        let isHeaderFit = isGlobal || header.allSatisfy { $0 < 0x80 }
        if failed.isWhole, isHeaderFit, failed.content.count <= plan.messageBytesMax {
            let message = Self.withLineEnds(failed.content)
            if Self.isSendable(message) {
                (bytes, isWhole) = (message, true)
                return
            }
        }
        (bytes, isWhole) = (header, false)
    }

    /// Nil if there is nothing to return.
    func part(isGlobal: Bool) -> BounceWriter.Part? {
        guard !bytes.isEmpty else { return nil }
        let isASCII = bytes.allSatisfy { $0 < 0x80 }
        if isWhole {
            return BounceWriter.Part(
                fields: [
                    "Content-Type: \(isGlobal && !isASCII ? "message/global" : "message/rfc822")",
                    "Content-Transfer-Encoding: \(isASCII ? "7bit" : "8bit")",
                ], body: bytes)
        }
        // RFC 6522 §4: a broken header may be encoded.
        let isPlain = isASCII && Self.isSendable(bytes)
        return BounceWriter.Part(
            fields: [
                "Content-Type: \(isGlobal ? "message/global-headers" : "text/rfc822-headers")",
                "Content-Transfer-Encoding: \(isPlain ? "7bit" : "quoted-printable")",
            ], body: isPlain ? bytes : QuotedPrintable.encode(bytes))
    }

    /// The lines before the first empty one, and no more of them than the bound takes.
    private static func header(_ content: [UInt8], max: Int) -> [UInt8] {
        var header: [UInt8] = []
        var rest = content[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: 0x0A).map { $0 + 1 } ?? rest.endIndex
            var line = rest[..<end]
            rest = rest[end...]
            if line.last == 0x0A { line.removeLast() }
            if line.last == 0x0D { line.removeLast() }
            if line.isEmpty || header.count + line.count + 2 > max { break }
            header += line
            header += [0x0D, 0x0A]
        }
        return header
    }

    /// With CRLF for every LF that has no CR.
    private static func withLineEnds(_ content: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(content.count + content.count / 16)
        for byte in content {
            if byte == 0x0A, output.last != 0x0D { output.append(0x0D) }
            output.append(byte)
        }
        return output
    }

    /// Whether the text can go as it is: no NUL, no CR or LF alone, no line that is too long (RFC 5322 §2.1.1).
    private static func isSendable(_ text: [UInt8]) -> Bool {
        var lineStart = 0
        for (index, byte) in text.enumerated() {
            switch byte {
            case 0: return false
            case 0x0D:
                guard index + 1 < text.count, text[index + 1] == 0x0A else { return false }
            case 0x0A:
                guard index > 0, text[index - 1] == 0x0D, index - 1 - lineStart <= lineBytesMax else { return false }
                lineStart = index + 1
            default: break
            }
        }
        return text.count - lineStart <= lineBytesMax
    }

    private static func messageID(_ header: [UInt8]) -> String? {
        for line in header.split(separator: 0x0A) {
            let name = line.prefix(11).map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
            guard name.elementsEqual("message-id:".utf8) else { continue }
            let value = line.dropFirst(11).filter { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }
            let isID =
                (3...250).contains(value.count) && value.first == UInt8(ascii: "<")
                && value.last == UInt8(ascii: ">")
                && value.dropFirst().dropLast().allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x3C && $0 != 0x3E }
            return isID ? String(decoding: value, as: UTF8.self) : nil
        }
        return nil
    }
}
