import Mail

/// The bytes of one log line in the making: fields are escaped and cut so that it stays one line of bounded length.
struct LogLine {
    /// Whether only the handler itself writes that key.
    static func isReserved(_ key: String) -> Bool {
        switch key {
        case "ts", "level", "logger", "msg", "cut": true
        default: false
        }
    }

    /// No field's value takes more than this; a value of a client's must not push the others out.
    static let valueBytesMax = 1024
    private static let keyBytesMax = 64

    private let format: LogFormat
    private var bytes: [UInt8] = []
    private var isCut = false

    init(format: LogFormat) {
        self.format = format
        bytes.reserveCapacity(512)
        if format == .json { bytes.append(UInt8(ascii: "{")) }
    }

    mutating func add(_ key: String, _ value: String) {
        let start = bytes.count
        if start > (format == .json ? 1 : 0) {
            bytes.append(format == .json ? UInt8(ascii: ",") : UInt8(ascii: " "))
        }
        append(key: key)
        append(value: value)
        // The end's room is kept free: the mark that something was cut, the brace and the line end.
        if bytes.count > LogSink.lineBytesMax - 16 {
            bytes.removeLast(bytes.count - start)
            isCut = true
        }
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

    private mutating func append(key: String) {
        if format == .json { bytes.append(UInt8(ascii: "\"")) }
        var key = key
        key.withUTF8 { key in
            let key = key.prefix(Self.keyBytesMax)
            if key.isEmpty {
                bytes.append(UInt8(ascii: "_"))
            } else if key.allSatisfy(Self.isKeyByte) {
                bytes.append(contentsOf: key)
            } else {
                bytes.append(contentsOf: key.lazy.map { Self.isKeyByte($0) ? $0 : UInt8(ascii: "_") })
            }
        }
        switch format {
        case .logfmt: bytes.append(UInt8(ascii: "="))
        case .json: bytes.append(contentsOf: "\":".utf8)
        }
    }

    private mutating func append(value: String) {
        let form = Form(of: value)
        if form == .bare, format == .logfmt { return bytes.append(utf8: value) }
        bytes.append(UInt8(ascii: "\""))
        if form == .escaped { append(escaped: value) } else { bytes.append(utf8: value) }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(escaped value: String) {
        let end = bytes.count + Self.valueBytesMax
        for scalar in value.unicodeScalars {
            guard bytes.count < end else {
                bytes.append(contentsOf: "…".utf8)
                isCut = true
                break
            }
            append(scalar)
        }
    }

    /// How a value can be written. Most values are told by one look at their bytes.
    private enum Form {
        /// As it is, in logfmt also without quotes.
        case bare
        /// As it is, between quotes.
        case quoted
        /// Scalar by scalar.
        case escaped

        init(of value: String) {
            var value = value
            self = value.withUTF8 { bytes in
                guard bytes.count <= LogLine.valueBytesMax else { return .escaped }
                var form = bytes.isEmpty ? Form.quoted : .bare
                for byte in bytes {
                    switch byte {
                    case UInt8(ascii: "\""), UInt8(ascii: "\\"): return .escaped
                    case UInt8(ascii: " "), UInt8(ascii: "="): form = .quoted
                    case 0x21...0x7E: break
                    default: return .escaped
                    }
                }
                return form
            }
        }
    }

    /// JSON's escapes (RFC 8259 §7) serve both forms. Escaped is also what a terminal or an editor could take for a
    /// line end or a change of direction: C1 controls, U+2028, U+2029 and the bidirectional controls.
    private mutating func append(_ scalar: Unicode.Scalar) {
        switch scalar.value {
        case UInt32(UInt8(ascii: "\"")), UInt32(UInt8(ascii: "\\")):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(UInt8(scalar.value))
        case 0x0A: bytes.append(contentsOf: "\\n".utf8)
        case 0x0D: bytes.append(contentsOf: "\\r".utf8)
        case 0x09: bytes.append(contentsOf: "\\t".utf8)
        case 0..<0x20, 0x7F...0x9F, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
            let digits = String(scalar.value, radix: 16)
            bytes.append(contentsOf: "\\u".utf8)
            bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: 4 - digits.utf8.count))
            bytes.append(contentsOf: digits.utf8)
        default:
            bytes.append(contentsOf: String(scalar).utf8)
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
