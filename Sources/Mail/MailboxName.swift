/// The name of one mailbox for ever: it is never used again for somebody else, whatever becomes of the address.
///
/// The directory makes it from the account's address (`alice@example.test`, then `alice~2@example.test` for the next
/// account at that address). It decides the partition, the folder on a storage node, and nothing else.
package struct MailboxName: Hashable, Sendable, Comparable {
    package let local: String
    package let domain: String

    /// The longest file name that common file systems take, in bytes.
    private static let pathComponentBytesMax = 255

    /// Nil if a part is empty or holds a control character, or if its folder's name would pass 255 bytes.
    package init?(local: String, domain: String) {
        let domain = domain.lowercasedDomain()
        for part in [local, domain] {
            guard !part.isEmpty, part.hasOnly({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
            guard Self.escapedByteCount(part) <= Self.pathComponentBytesMax else { return nil }
        }
        self.local = local
        self.domain = domain
    }

    /// Takes `local@domain`, split at the last "@".
    package init?(_ text: String) {
        guard let at = text.utf8.lastIndex(of: UInt8(ascii: "@")) else { return nil }
        self.init(local: String(text[..<at]), domain: String(text[text.utf8.index(after: at)...]))
    }

    /// The two folders below the partition's, domain first. Neither can be ".", "..", hidden, or hold a "/".
    package var pathComponents: (domain: String, mailbox: String) {
        (Self.escaped(domain), Self.escaped(local))
    }

    /// Takes the two folder names back apart. Nil for a folder that no mailbox name makes.
    package init?(domainComponent: String, mailboxComponent: String) {
        guard let domain = Self.unescaped(domainComponent), let local = Self.unescaped(mailboxComponent),
            let name = MailboxName(local: local, domain: domain),
            name.pathComponents == (domainComponent, mailboxComponent)
        else { return nil }
        self = name
    }

    package static func < (left: MailboxName, right: MailboxName) -> Bool {
        (left.domain, left.local) < (right.domain, right.local)
    }

    /// Lower-case letters, digits and `._+~-` stay; everything else, and a leading dot, becomes `=XX`. Upper-case
    /// letters are escaped too, so that a file system that folds case cannot make one mailbox of two.
    private static func escaped(_ part: String) -> String {
        if escapedByteCount(part) == part.utf8.count { return part }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(part.utf8.count)
        for (index, byte) in part.utf8.enumerated() {
            if stays(byte, at: index) {
                bytes.append(byte)
            } else {
                bytes.append(contentsOf: [UInt8(ascii: "="), hexDigit(byte >> 4), hexDigit(byte & 15)])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func escapedByteCount(_ part: String) -> Int {
        var part = part
        return part.withUTF8 { bytes in
            bytes.indices.reduce(0) { $0 + (stays(bytes[$1], at: $1) ? 1 : 3) }
        }
    }

    private static func stays(_ byte: UInt8, at index: Int) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
            UInt8(ascii: "+"), UInt8(ascii: "~"), UInt8(ascii: "-"):
            true
        default:
            byte == UInt8(ascii: ".") && index > 0
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

    private static func unescaped(_ component: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Substring(component).utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "=") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let digits = String(rest.prefix(2)), let value = UInt8(digits, radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

extension MailboxName {
    /// The address of the account that it was made for: without the number that tells later accounts of one address apart.
    package var account: EmailAddress {
        guard let mark = local.lastIndex(of: "~"), mark > local.startIndex else {
            return EmailAddress(local: local, domain: domain)
        }
        let digits = local[local.index(after: mark)...].utf8
        let isNumber = !digits.isEmpty && digits.allSatisfy { (0x30...0x39).contains($0) } && digits.first != 0x30
        return EmailAddress(local: isNumber ? String(local[..<mark]) : local, domain: domain)
    }
}

extension MailboxName: CustomStringConvertible {
    package var description: String { String(local, "@", domain) }
}
