/// A mailbox address in the sense of RFC 5321 §4.1.2, split at its last "@", with the local part unquoted.
///
/// The domain is kept in lower case (RFC 5321 §2.4: domains do not depend on case); the local part is kept as it
/// came, because only the final system may interpret it.
package struct EmailAddress: Hashable, Sendable {
    package let local: String
    package let domain: String

    package init(local: String, domain: String) {
        self.local = local
        self.domain = domain.lowercasedDomain()
    }

    /// Takes an address as an operator types it (`alice@example.test`). Nil without a local part or a domain.
    ///
    /// This is not the parser for SMTP paths: quoted local parts and source routes are the protocol's business.
    package init?(_ text: String) {
        guard let at = text.utf8.lastIndex(of: UInt8(ascii: "@")) else { return nil }
        let local = text[..<at]
        let domain = text[text.utf8.index(after: at)...]
        guard !local.isEmpty, !domain.isEmpty, text.hasOnly({ $0 > 0x20 && $0 != 0x7F }) else {
            return nil
        }
        self.init(local: String(local), domain: String(domain))
    }

    /// The envelope sender of a notice to the postmaster, as qmail has it, which no other notice may answer: no such address
    /// can exist.
    package static let doubleBounce = EmailAddress(local: "#", domain: "[]")

    /// Whether SMTP can carry it without SMTPUTF8 (RFC 6531).
    package var isASCII: Bool { local.hasOnly { $0 < 0x80 } && domain.hasOnly { $0 < 0x80 } }
}

extension EmailAddress: CustomStringConvertible {
    /// The address as it stands in a path or a header: the local part is quoted where RFC 5321 §4.1.2 asks for it.
    package var description: String {
        String(Self.needsQuotes(local) ? Self.quoted(local) : local, "@", domain)
    }

    /// Puts the description behind what is there.
    package func append(to bytes: inout [UInt8]) {
        bytes.append(utf8: Self.needsQuotes(local) ? Self.quoted(local) : local)
        bytes.append(UInt8(ascii: "@"))
        bytes.append(utf8: domain)
    }

    private static func needsQuotes(_ local: String) -> Bool {
        var local = local
        return local.withUTF8 { bytes in
            var afterDot = true
            for byte in bytes {
                if byte == UInt8(ascii: ".") {
                    if afterDot { return true }
                    afterDot = true
                } else if isAtomByte(byte) {
                    afterDot = false
                } else {
                    return true
                }
            }
            return afterDot
        }
    }

    private static func quoted(_ local: String) -> String {
        var text = "\""
        for character in local.unicodeScalars {
            if character == "\"" || character == "\\" { text += "\\" }
            text.unicodeScalars.append(character)
        }
        return text + "\""
    }

    /// `atext` of RFC 5322 §3.2.3, with every byte of a non-ASCII character (RFC 6531 §3.3).
    package static func isAtomByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...0xFF:
            true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2F, 0x3D, 0x3F, 0x5E...0x60, 0x7B...0x7E:  // !#$%&'*+-/=?^_`{|}~
            true
        default:
            false
        }
    }
}

extension String {
    /// A domain in lower case; most are already.
    func lowercasedDomain() -> String {
        hasOnly { $0 < 0x80 && ($0 &- 0x41) >= 26 } ? self : lowercased()
    }
}
