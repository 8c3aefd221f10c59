import Glibc

/// What a peer or a file name says, as it may stand in a log.
enum Printable {
    /// Bytes outside 32 to 126 become "?".
    static func bytes(_ text: some Collection<UInt8>) -> [UInt8] {
        text.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
    }

    static func text(_ text: some Collection<UInt8>) -> String { String(decoding: bytes(text), as: UTF8.self) }

    /// The text of an errno.
    static func error(_ number: Int32) -> String {
        var text = [CChar](repeating: 0, count: 256)
        guard strerror_r(number, &text, text.count) == 0 else { return "error \(number)" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
