import FoundationEssentials
import Testing

/// A protocol dialogue as a text file that a person can read and add to.
///
/// The first line is `# ` and the rule that the dialogue proves; later lines that begin with `#`, and empty ones, are
/// comments. The other lines are, in their order:
///
///     C: text     the client sends the text and CRLF; lines that follow each other are sent in one piece
///     C+ text     the client sends the text without CRLF
///     S: text     the server has said just this line and CRLF
///     S~ text     the server has said a line that begins like this
///     word text   anything else is the runner's business: what the world does, or what must have happened
///
/// In all texts `\r`, `\n`, `\t`, `\\` and `\xHH` stand for bytes, and a `\s` for a blank at the end of a line.
struct ScenarioFile: Sendable, CustomTestStringConvertible {
    /// One line of the dialogue.
    struct Step: Sendable {
        enum Kind: Sendable {
            case client([UInt8])
            case server([UInt8], isWhole: Bool)
            case directive(String, String)
        }

        let line: Int
        let kind: Kind
    }

    /// Why a file is no dialogue.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    let name: String
    /// The rule that the dialogue proves.
    let rule: String
    let steps: [Step]

    var testDescription: String { "\(name): \(rule)" }

    init(name: String, text: String) throws {
        self.name = name
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.first, first.hasPrefix("# ") else {
            throw Malformed(description: "\(name): the first line is not a rule")
        }
        rule = String(first.dropFirst(2))
        steps = try lines.enumerated().dropFirst().compactMap { index, line in
            guard !line.isEmpty, !line.hasPrefix("#") else { return nil }
            guard let kind = Self.kind(line) else { throw Malformed(description: "\(name):\(index + 1): malformed") }
            return Step(line: index + 1, kind: kind)
        }
    }

    private static func kind(_ line: Substring) -> Step.Kind? {
        let text = line.dropFirst(line.dropFirst(2).hasPrefix(" ") ? 3 : 2)
        switch line.prefix(2) {
        case "C:": return unescaped(text).map { .client($0 + [13, 10]) }
        case "C+": return unescaped(text).map { .client($0) }
        case "S:": return unescaped(text).map { .server($0, isWhole: true) }
        case "S~": return unescaped(text).map { .server($0, isWhole: false) }
        default:
            let words = line.split(separator: " ", maxSplits: 1)
            guard let word = words.first else { return nil }
            return .directive(String(word), words.count > 1 ? String(words[1]) : "")
        }
    }

    /// The bytes that a text stands for; nil if a backslash means nothing.
    static func unescaped(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "r"): bytes.append(13)
            case UInt8(ascii: "n"): bytes.append(10)
            case UInt8(ascii: "t"): bytes.append(9)
            case UInt8(ascii: "s"): bytes.append(32)
            case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "x"):
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else {
                    return nil
                }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: return nil
            }
        }
        return bytes
    }

    /// Bytes as a failing test shows them.
    static func escaped(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { byte in
            switch byte {
            case 13: "\\r"
            case 10: "\\n"
            case 0x20...0x7E: String(UnicodeScalar(byte))
            default: "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }.joined()
    }
}

/// The dialogues of a folder, in the order of their names.
enum Scenarios {
    static func all(in folder: URL) throws -> [ScenarioFile] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".txt") }
        return try names.sorted().map { name in
            let data = try Data(contentsOf: folder.appending(path: name))
            return try ScenarioFile(name: name, text: String(decoding: data, as: UTF8.self))
        }
    }
}
