import Mail

/// `BODY=` of MAIL (RFC 6152).
package enum SMTPBodyKind: String, Hashable, Sendable {
    case sevenBit = "7BIT"
    case eightBit = "8BITMIME"
}

/// What stands behind the path of MAIL (RFC 5321 §4.1.1.11).
struct MailParameters: Equatable {
    var size: Int?
    var body: SMTPBodyKind?
    var utf8 = false
    var name: MessageIdentity?
    var isRepeat = false
    var isAlike = false
    var content = HopContent.message
    var sitePath: SitePath?
}

/// What RCPT's parameters said (the cluster's own service, and other sites).
struct RecipientParameters: Equatable {
    var mailbox: MailboxName?
    var heldFor: String?
}

/// The parameters of a MAIL or RCPT line, one after the other: `*(SP keyword ["=" value])`.
struct ParameterReader {
    struct Parameter {
        let keyword: UnsafeRawBufferPointer
        /// Nil if there was no "=".
        let value: UnsafeRawBufferPointer?
    }

    enum Next {
        case parameter(Parameter)
        case end
        case malformed
    }

    private let bytes: UnsafeRawBufferPointer
    private var at: Int

    init(_ bytes: UnsafeRawBufferPointer, from start: Int) {
        self.bytes = bytes
        at = start
    }

    mutating func next() -> Next {
        let gap = at
        while at < bytes.count, bytes[at] == ASCII.space { at += 1 }
        guard at < bytes.count else { return .end }
        guard at > gap else { return .malformed }
        let start = at
        while at < bytes.count, ASCII.isLetterOrDigit(bytes[at]) || (bytes[at] == ASCII.hyphen && at > start) {
            at += 1
        }
        let keyword = bytes.slice(start..<at)
        guard !keyword.isEmpty else { return .malformed }
        guard at < bytes.count, bytes[at] == ASCII.equals else {
            return .parameter(Parameter(keyword: keyword, value: nil))
        }
        at += 1
        let valueStart = at
        while at < bytes.count, bytes[at] > ASCII.space, bytes[at] != ASCII.equals, bytes[at] != 0x7F { at += 1 }
        guard at > valueStart else { return .malformed }
        return .parameter(Parameter(keyword: keyword, value: bytes.slice(valueStart..<at)))
    }
}

extension UnsafeRawBufferPointer {
    /// 1 to 20 digits (RFC 1870 §4); a number too large for an Int is `Int.max`. Nil for anything else.
    var decimal: Int? {
        guard (1...20).contains(count) else { return nil }
        var value = 0
        for byte in self {
            guard ASCII.isDigit(byte) else { return nil }
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int(byte - 0x30))
            value = overflow || carry ? Int.max : sum
        }
        return value
    }
}
