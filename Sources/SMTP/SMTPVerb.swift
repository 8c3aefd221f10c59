/// The commands of RFC 5321 §4.1.1 and its extensions, recognised on their bytes.
enum SMTPVerb: CaseIterable {
    case ehlo, helo, lhlo, mail, rcpt, data, bdat, rset, noop, vrfy, expn, help, quit, startTLS, auth, etrn, atrn
    /// What a web browser says to a mail server that a page pointed it to.
    case http

    /// Reads the verb at the head of a line, whatever the case of letters.
    ///
    /// - Returns: the verb, nil if it is not known, and where its arguments begin.
    static func parse(_ line: UnsafeRawBufferPointer) -> (verb: SMTPVerb?, arguments: Int) {
        var packed: UInt64 = 0
        var at = 0
        while at < line.count, at <= 8, line[at] != ASCII.space {
            packed = packed << 8 | UInt64(ASCII.upper(line[at]))
            at += 1
        }
        // A NUL in front would leave no trace in the number.
        let verb = at <= 8 && line.first != ASCII.nul ? Self(packed: packed) : nil
        while at < line.count, line[at] == ASCII.space { at += 1 }
        return (verb, at)
    }

    private init?(packed: UInt64) {
        switch packed {
        case Self.packed("EHLO"): self = .ehlo
        case Self.packed("HELO"): self = .helo
        case Self.packed("LHLO"): self = .lhlo
        case Self.packed("MAIL"): self = .mail
        case Self.packed("RCPT"): self = .rcpt
        case Self.packed("DATA"): self = .data
        case Self.packed("BDAT"): self = .bdat
        case Self.packed("RSET"): self = .rset
        case Self.packed("NOOP"): self = .noop
        case Self.packed("VRFY"): self = .vrfy
        case Self.packed("EXPN"): self = .expn
        case Self.packed("HELP"): self = .help
        case Self.packed("QUIT"): self = .quit
        case Self.packed("STARTTLS"): self = .startTLS
        case Self.packed("AUTH"): self = .auth
        case Self.packed("ETRN"): self = .etrn
        case Self.packed("ATRN"): self = .atrn
        case Self.packed("GET"), Self.packed("POST"), Self.packed("PUT"), Self.packed("HEAD"), Self.packed("CONNECT"),
            Self.packed("OPTIONS"):
            self = .http
        default: return nil
        }
    }

    @inline(__always)
    private static func packed(_ word: StaticString) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<word.utf8CodeUnitCount { value = value << 8 | UInt64(word.utf8Start[index]) }
        return value
    }

    /// Whether the command is no part of sending a message.
    var isIdle: Bool {
        switch self {
        case .ehlo, .helo, .lhlo, .rset, .noop, .vrfy, .expn, .help, .etrn, .atrn: true
        default: false
        }
    }

    /// Whether a line may not carry anything behind the verb.
    var takesNothing: Bool {
        switch self {
        case .data, .rset, .quit, .startTLS: true
        default: false
        }
    }
}
