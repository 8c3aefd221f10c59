/// The bytes of one log line in the making: fields are escaped and cut so that it stays one line of bounded length.
struct LogLine {
    /// Keys that only the handler itself writes.
    static let reserved: Set<String> = ["ts", "level", "logger", "msg", "cut"]

    /// No field's value takes more than this; a value of a client's must not push the others out.
    static let valueBytesMax = 1024

    private let format: LogFormat
    private var bytes: [UInt8] = []
    private var isCut = false

    init(format: LogFormat) {
        self.format = format
        bytes.reserveCapacity(256)
        if format == .json { bytes.append(UInt8(ascii: "{")) }
    }

    mutating func add(_ key: String, _ value: String) {
        var field: [UInt8] = []
        appendKey(key, to: &field)
        appendValue(value, to: &field)
        // The end's room is kept free: the mark that something was cut, the brace and the line end.
        guard bytes.count + field.count + 1 <= LogSink.lineBytesMax - 16 else {
            isCut = true
            return
        }
        if bytes.count > (format == .json ? 1 : 0) {
            bytes.append(format == .json ? UInt8(ascii: ",") : UInt8(ascii: " "))
        }
        bytes += field
    }

    mutating func finished() -> [UInt8] {
        switch format {
        case .logfmt:
            if isCut { bytes += " cut=true".utf8 }
        case .json:
            if isCut { bytes += ",\"cut\":true".utf8 }
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private func appendKey(_ key: String, to field: inout [UInt8]) {
        let plain = key.utf8.prefix(64).map { Self.isKeyByte($0) ? $0 : UInt8(ascii: "_") }
        let name = plain.isEmpty ? [UInt8(ascii: "_")] : plain
        switch format {
        case .logfmt:
            field += name
            field.append(UInt8(ascii: "="))
        case .json:
            field += "\"".utf8
            field += name
            field += "\":".utf8
        }
    }

    private mutating func appendValue(_ value: String, to field: inout [UInt8]) {
        if format == .logfmt, Self.isBare(value) {
            field += value.utf8
            return
        }
        field.append(UInt8(ascii: "\""))
        let end = field.count + Self.valueBytesMax
        for scalar in value.unicodeScalars {
            guard field.count < end else {
                field += "…".utf8
                isCut = true
                break
            }
            Self.append(scalar, to: &field)
        }
        field.append(UInt8(ascii: "\""))
    }

    private static func isBare(_ value: String) -> Bool {
        let bytes = value.utf8
        return (1...valueBytesMax).contains(bytes.count)
            && bytes.allSatisfy {
                (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
                    && $0 != UInt8(ascii: "\\")
            }
    }

    /// JSON's escapes (RFC 8259 §7) serve both forms. Escaped is also what a terminal or an editor could take for a
    /// line end or a change of direction: C1 controls, U+2028, U+2029 and the bidirectional controls.
    private static func append(_ scalar: Unicode.Scalar, to field: inout [UInt8]) {
        switch scalar.value {
        case UInt32(UInt8(ascii: "\"")), UInt32(UInt8(ascii: "\\")):
            field += [UInt8(ascii: "\\"), UInt8(scalar.value)]
        case 0x0A: field += "\\n".utf8
        case 0x0D: field += "\\r".utf8
        case 0x09: field += "\\t".utf8
        case 0..<0x20, 0x7F...0x9F, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
            let digits = String(scalar.value, radix: 16)
            field += "\\u".utf8
            field += repeatElement(UInt8(ascii: "0"), count: 4 - digits.utf8.count)
            field += digits.utf8
        default:
            field += UTF8.encode(scalar).map(Array.init) ?? []
        }
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
            true
        default:
            false
        }
    }
}
