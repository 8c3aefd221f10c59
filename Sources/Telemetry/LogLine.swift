import Mail

/// The bytes of one log line in the making: fields are escaped and cut so that it stays one line of bounded length.
struct LogLine {
    /// Whether only the handler itself writes that key.
    static func isReserved(_ key: String) -> Bool {
        switch key.utf8.count {
        case 2...6: key == "ts" || key == "level" || key == "logger" || key == "msg" || key == "cut"
        default: false
        }
    }

    /// No field's value takes more than this; a value of a client's must not push the others out.
    static let valueBytesMax = 1024
    private static let keyBytesMax = 64
    /// A field that passes the line's end is taken back, and needs room until then: for its key and value, for what
    /// stands around them and for the last scalar, which may be written as an escape.
    private static let fieldBytesMax = keyBytesMax + valueBytesMax + 32

    private let format: LogFormat
    private let room: UnsafeMutableBufferPointer<UInt8>
    private var count = 0
    private var isCut = false

    private init(format: LogFormat, room: UnsafeMutableBufferPointer<UInt8>) {
        self.format = format
        self.room = room
        if format == .json { append(UInt8(ascii: "{")) }
    }

    /// Has a line filled, and gives it to `use`, with its line end, at most `LogSink.lineBytesMax` bytes.
    static func with<Value>(
        format: LogFormat, fill: (inout LogLine) -> Void, use: (UnsafeRawBufferPointer) -> Value
    ) -> Value {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: LogSink.lineBytesMax + fieldBytesMax) { room in
            var line = LogLine(format: format, room: room)
            fill(&line)
            line.finish()
            return use(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<line.count]))
        }
    }

    mutating func add(_ key: StaticString, _ value: String) {
        add(value) { $0.append(fit: key) }
    }

    mutating func add(_ key: String, _ value: String) {
        add(value) { $0.append(key: key) }
    }

    private mutating func add(_ value: String, _ appendKey: (inout LogLine) -> Void) {
        let start = count
        if start > (format == .json ? 1 : 0) { append(format == .json ? UInt8(ascii: ",") : UInt8(ascii: " ")) }
        if format == .json { append(UInt8(ascii: "\"")) }
        appendKey(&self)
        if format == .json { append(fit: "\":") } else { append(UInt8(ascii: "=")) }
        append(value: value)
        // The end's room is kept free: the mark that something was cut, the brace and the line end.
        if count > LogSink.lineBytesMax - 16 {
            count = start
            isCut = true
        }
    }

    private mutating func finish() {
        switch format {
        case .logfmt:
            if isCut { append(fit: " cut=true") }
        case .json:
            if isCut { append(fit: ",\"cut\":true") }
            append(UInt8(ascii: "}"))
        }
        append(UInt8(ascii: "\n"))
    }

    private mutating func append(_ byte: UInt8) {
        room[count] = byte
        count += 1
    }

    private mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        count = room[count...].update(fromContentsOf: bytes)
    }

    /// What needs no look at its bytes.
    private mutating func append(fit text: StaticString) {
        append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func append(key: String) {
        var key = key
        key.withUTF8 { key in
            if key.isEmpty { append(UInt8(ascii: "_")) }
            for byte in key.prefix(Self.keyBytesMax) { append(Self.isKeyByte(byte) ? byte : UInt8(ascii: "_")) }
        }
    }

    private mutating func append(value: String) {
        var value = value
        let form = value.withUTF8 { bytes in
            let form = Form(of: bytes)
            switch form {
            case .bare where format == .logfmt:
                append(bytes)
            case .bare, .quoted:
                append(UInt8(ascii: "\""))
                append(bytes)
                append(UInt8(ascii: "\""))
            case .escaped:
                break
            }
            return form
        }
        if form == .escaped { append(escaped: value) }
    }

    private mutating func append(escaped value: String) {
        append(UInt8(ascii: "\""))
        let end = count + Self.valueBytesMax
        for scalar in value.unicodeScalars {
            guard count < end else {
                append(utf8: "…")
                isCut = true
                break
            }
            append(scalar)
        }
        append(UInt8(ascii: "\""))
    }

    private mutating func append(utf8 text: String) {
        for byte in text.utf8 { append(byte) }
    }

    /// How a value can be written. Most values are told by one look at their bytes.
    private enum Form {
        /// As it is, in logfmt also without quotes.
        case bare
        /// As it is, between quotes.
        case quoted
        /// Scalar by scalar.
        case escaped

        private static let blank: UInt64 = 1 << 0x20
        /// A blank and "=".
        private static let quotedLow = blank | 1 << 0x3D
        /// Controls and the quotation mark.
        private static let escapedLow: UInt64 = 0xFFFF_FFFF | 1 << 0x22
        /// The backslash and DEL.
        private static let escapedHigh: UInt64 = 1 << (0x5C - 0x40) | 1 << 0x3F

        init(of bytes: UnsafeBufferPointer<UInt8>) {
            guard bytes.count <= LogLine.valueBytesMax else {
                self = .escaped
                return
            }
            // Bits of the bytes from 0x40 on, and of those before: which byte stands where is of no interest.
            var (low, high): (UInt64, UInt64) = bytes.isEmpty ? (Self.blank, 0) : (0, 0)
            for byte in bytes {
                guard byte < 0x80 else {
                    self = .escaped
                    return
                }
                let bit: UInt64 = 1 &<< UInt64(byte & 0x3F)
                low |= byte < 0x40 ? bit : 0
                high |= byte < 0x40 ? 0 : bit
            }
            let isEscaped = low & Self.escapedLow != 0 || high & Self.escapedHigh != 0
            self = isEscaped ? .escaped : low & Self.quotedLow != 0 ? .quoted : .bare
        }
    }

    /// JSON's escapes (RFC 8259 §7) serve both forms. Escaped is also what a terminal or an editor could take for a
    /// line end or a change of direction: C1 controls, U+2028, U+2029 and the bidirectional controls.
    private mutating func append(_ scalar: Unicode.Scalar) {
        switch scalar.value {
        case UInt32(UInt8(ascii: "\"")), UInt32(UInt8(ascii: "\\")):
            append(UInt8(ascii: "\\"))
            append(UInt8(scalar.value))
        case 0x0A: append(fit: "\\n")
        case 0x0D: append(fit: "\\r")
        case 0x09: append(fit: "\\t")
        case 0..<0x20, 0x7F...0x9F, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
            let digits = String(scalar.value, radix: 16)
            append(fit: "\\u")
            for _ in digits.utf8.count..<4 { append(UInt8(ascii: "0")) }
            append(utf8: digits)
        default:
            append(utf8: String(scalar))
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
