/// QMTP and QMQP as the tests speak them, byte by byte.
enum QMTPPackage {
    static func netstring(_ content: [UInt8]) -> [UInt8] { Array("\(content.count):".utf8) + content + Array(",".utf8) }

    /// - Parameter text: with its first byte, which tells how its lines end.
    static func qmtp(_ text: String, to recipients: [String], from sender: String = "sender@example.org") -> [UInt8] {
        netstring(Array(text.utf8)) + netstring(Array(sender.utf8))
            + netstring(recipients.flatMap { netstring(Array($0.utf8)) })
    }

    static func qmqp(_ text: String, to recipients: [String], from sender: String = "sender@example.org") -> [UInt8] {
        netstring(
            netstring(Array(text.utf8)) + netstring(Array(sender.utf8))
                + recipients.flatMap { netstring(Array($0.utf8)) })
    }
}

extension RawConnection {
    /// So many replies, each without its length and comma.
    func netstrings(_ count: Int) async throws -> [String] {
        var replies: [String] = []
        for _ in 0..<count { replies.append(try await netstring()) }
        return replies
    }

    func netstring() async throws -> String {
        var length = 0
        while true {
            let byte = try await byte()
            if byte == UInt8(ascii: ":") { break }
            guard (0x30...0x39).contains(byte), length < 10_000 else {
                throw Failed(description: "no length of a netstring")
            }
            length = length * 10 + Int(byte - 0x30)
        }
        var content: [UInt8] = []
        for _ in 0..<length { content.append(try await byte()) }
        guard try await byte() == UInt8(ascii: ",") else { throw Failed(description: "a netstring without its comma") }
        return String(decoding: content, as: UTF8.self)
    }
}
