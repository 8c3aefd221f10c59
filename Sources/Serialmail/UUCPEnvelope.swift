/// The sender as the `From ` lines of UUCP tell it (RFC 976 §2.4).
struct UUCPEnvelope {
    private var hosts: [String] = []
    private var name: String?

    /// Octets that tell whether a line is one.
    static let markBytes = 6

    static func isMark(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: "From ".utf8) || bytes.starts(with: ">From ".utf8)
    }

    mutating func take(_ line: [UInt8]) {
        // By bytes: a blank with a combining mark is one character.
        let words = line.filter { $0 >= 0x20 && $0 != 0x7F }.split(separator: UInt8(ascii: " ")).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard words.count > 1 else { return }
        let mark = words.indices.dropLast(2).last { words[$0] == "remote" && words[$0 + 1] == "from" }
        if let mark { hosts.append(words[mark + 2]) }
        // The last line is the nearest to the sender.
        name = words[1]
    }

    /// Empty for nobody; nil if no line told it.
    var sender: String? {
        guard let name else { return nil }
        if name == "<>" { return "" }
        let plain = name.hasPrefix("<") && name.hasSuffix(">") ? String(name.dropFirst().dropLast()) : name
        if plain.contains("@") || hosts.isEmpty { return plain }
        return hosts.count == 1 && !plain.contains("!")
            ? "\(plain)@\(hosts[0])" : (hosts + [plain]).joined(separator: "!")
    }
}
