/// Makes words of strangers harmless: one line, bounded, and without what a terminal or a mail reader would obey.
enum BounceText {
    /// RFC 5321 §4.5.3.1.3 has 256; quoting may double it.
    static let addressBytesMax = 512
    /// RFC 5321 §4.5.3.1.5 has 512 for a reply line.
    static let reasonBytesMax = 512
    private static let escapedBytesMax = 900

    /// The text in UTF-8; control characters become "?", and what is too long is cut between two characters.
    static func utf8(_ text: String, max: Int) -> String {
        var result = String.UnicodeScalarView()
        var count = 0
        for scalar in text.unicodeScalars {
            count += UTF8.width(scalar)
            if count > max { break }
            result.append(isHarmless(scalar) ? scalar : "?")
        }
        return String(result)
    }

    /// The text in ASCII; every other character becomes "?".
    static func ascii(_ text: String, max: Int) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(Swift.max(0, max)) {
            result.append((0x20...0x7E).contains(scalar.value) ? scalar : "?")
        }
        return String(result)
    }

    /// A host name or an address literal.
    static func host(_ text: String) -> String {
        let name = mapped(text, max: 255) { byte in
            isLetterOrDigit(byte) || "-._:[]".utf8.contains(byte)
        }
        return name.isEmpty ? "localhost" : name
    }

    /// What may stand in a Message-ID's angle brackets (RFC 5322 §3.6.4).
    static func token(_ text: String) -> String {
        let token = mapped(text, max: 250) { byte in
            isLetterOrDigit(byte) || "!#$%&'*+-/=?^_`{|}~.@[]:".utf8.contains(byte)
        }
        return token.isEmpty ? "none" : token
    }

    /// `utf-8-addr-xtext` of RFC 6533 §3: what is not printable ASCII, and `+`, `=`, `\`, as `\x{HEX}`; cut so that it
    /// fits a line.
    static func unicodeXText(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            let isPlain = (0x21...0x7E).contains(scalar.value) && scalar != "+" && scalar != "=" && scalar != "\\"
            let unit = isPlain ? String(scalar) : escaped(scalar)
            if result.utf8.count + unit.utf8.count > escapedBytesMax { break }
            result += unit
        }
        return result
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return "\\x{\(digits.utf8.count < 2 ? "0" : "")\(digits)}"
    }

    private static func mapped(_ text: String, max: Int, allows: (UInt8) -> Bool) -> String {
        String(decoding: text.utf8.prefix(max).map { allows($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    /// No control characters of either set, no line separators, and nothing that turns the direction of text.
    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: false
        default: true
        }
    }
}
