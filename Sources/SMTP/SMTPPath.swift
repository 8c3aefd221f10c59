package import Mail

/// What stands between the angle brackets of MAIL and RCPT (RFC 5321 §4.1.2, RFC 6531 §3.3).
package enum SMTPPath: Hashable, Sendable {
    /// `<>`, for MAIL only (RFC 5321 §4.5.5).
    case null
    case address(EmailAddress)
    /// `<postmaster>` without a domain, for RCPT only (RFC 5321 §4.1.1.3), whatever the case of letters.
    case postmaster

    /// Reads a path at the head of `bytes`. A source route is read and dropped (RFC 5321 appendix C).
    ///
    /// - Returns: the path and how many bytes it took; nil if there is no path or a part is too long
    ///   (RFC 5321 §4.5.3.1: 64 octets of local part, 255 of domain, 256 of path).
    package static func parse(_ bytes: UnsafeRawBufferPointer) -> (path: SMTPPath, length: Int)? {
        var parser = PathParser(bytes)
        guard let path = parser.parse() else { return nil }
        return (path, parser.at)
    }

    /// Whether a path can say an address that came in another way.
    package static func canSay(_ address: EmailAddress) -> Bool {
        var bytes = [ASCII.less]
        address.append(to: &bytes)
        bytes.append(ASCII.greater)
        return bytes.withUnsafeBytes { parse($0)?.length == bytes.count }
    }
}

/// A descent through the grammar of RFC 5321 §4.1.2, one step a rule, without recursion.
struct PathParser {
    private let bytes: UnsafeRawBufferPointer
    private(set) var at = 0

    private static let localBytesMax = 64
    private static let domainBytesMax = 255
    private static let labelBytesMax = 63
    private static let mailboxBytesMax = 254
    private static let doubleBounce = Array("<\(EmailAddress.doubleBounce)>".utf8)

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The domain in lower case that all of `bytes` are; no address literal.
    static func domain(_ bytes: UnsafeRawBufferPointer) -> String? {
        var parser = PathParser(bytes)
        guard bytes.count <= domainBytesMax, parser.labels(), parser.at == bytes.count else { return nil }
        return String(utf8: bytes)?.lowercased()
    }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        at += 1
        return true
    }

    mutating func parse() -> SMTPPath? {
        guard take(ASCII.less) else { return nil }
        if take(ASCII.greater) { return .null }
        if bytes.starts(with: Self.doubleBounce) {
            at = Self.doubleBounce.count
            return .address(.doubleBounce)
        }
        if next == ASCII.at, !skipSourceRoute() { return nil }
        let start = at
        guard let local = localPart(), at - start <= Self.localBytesMax else { return nil }
        if next == ASCII.greater { return postmaster(local, from: start) }
        guard take(ASCII.at), let domain = domain(), at - start <= Self.mailboxBytesMax, take(ASCII.greater) else {
            return nil
        }
        return .address(EmailAddress(local: local, domain: domain))
    }

    private mutating func postmaster(_ local: String, from start: Int) -> SMTPPath? {
        guard bytes.slice(start..<at).equals("POSTMASTER"), take(ASCII.greater) else { return nil }
        return .postmaster
    }

    /// `A-d-l ":"`
    private mutating func skipSourceRoute() -> Bool {
        repeat {
            guard take(ASCII.at), domain() != nil else { return false }
        } while take(ASCII.comma)
        return take(ASCII.colon)
    }

    private mutating func localPart() -> String? {
        next == ASCII.quote ? quotedString() : dotString()
    }

    /// `Dot-string`: atoms with single dots between them.
    private mutating func dotString() -> String? {
        let start = at
        var afterDot = true
        while let byte = next {
            if byte == ASCII.dot {
                if afterDot { return nil }
                afterDot = true
            } else if EmailAddress.isAtomByte(byte) {
                afterDot = false
            } else {
                break
            }
            at += 1
        }
        return afterDot ? nil : String(utf8: bytes.slice(start..<at))
    }

    /// `Quoted-string`, unquoted: what its backslashes protect stands alone.
    private mutating func quotedString() -> String? {
        guard take(ASCII.quote) else { return nil }
        var content: [UInt8] = []
        while let byte = next {
            at += 1
            switch byte {
            case ASCII.quote:
                return String(validating: content, as: UTF8.self)
            case ASCII.backslash:
                guard let quoted = next, (0x20...0x7E).contains(quoted) else { return nil }
                at += 1
                content.append(quoted)
            case 0x20...0x7E, 0x80...:
                content.append(byte)
            default:
                return nil
            }
        }
        return nil
    }

    private mutating func domain() -> String? {
        let start = at
        guard next == ASCII.openBracket ? addressLiteral() : labels() else { return nil }
        guard at - start <= Self.domainBytesMax else { return nil }
        return String(utf8: bytes.slice(start..<at))
    }

    /// `sub-domain *("." sub-domain)`, with U-labels (RFC 6531 §3.3).
    private mutating func labels() -> Bool {
        repeat {
            let start = at
            while let byte = next, ASCII.isLetterOrDigit(byte) || byte == ASCII.hyphen || byte >= 0x80 { at += 1 }
            guard (1...Self.labelBytesMax).contains(at - start), bytes[start] != ASCII.hyphen,
                bytes[at - 1] != ASCII.hyphen
            else { return false }
        } while take(ASCII.dot)
        return true
    }

    /// RFC 5321 §4.1.3: `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `[tag:content]`.
    private mutating func addressLiteral() -> Bool {
        guard take(ASCII.openBracket) else { return false }
        let start = at
        while let byte = next, (0x21...0x7E).contains(byte), !(ASCII.openBracket...ASCII.closeBracket).contains(byte) {
            at += 1
        }
        guard AddressLiteral.isValid(bytes.slice(start..<at)) else { return false }
        return take(ASCII.closeBracket)
    }
}
