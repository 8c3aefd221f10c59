import Foundation
import Mail

/// What an address is looked up by: local parts are one if they differ only in ASCII case or in how accents are
/// composed (NFC). RFC 5321 §2.4 leaves that to the final system, and people expect it. Domains are A-labels.
struct AddressKey: Hashable, Sendable {
    let local: String
    let domain: String

    init(local: String, domain: String) {
        self.local = Self.folded(local)
        self.domain = DomainName.ascii(domain)
    }

    init(_ address: EmailAddress) {
        self.init(local: address.local, domain: address.domain)
    }

    /// Without the tag: `alice` for `alice+lists`. Nil if there is no tag, or nothing before it.
    func withoutTag(delimiter: Character?) -> AddressKey? {
        guard let delimiter, let at = local.firstIndex(of: delimiter), at > local.startIndex else { return nil }
        return AddressKey(local: String(local[..<at]), domain: domain)
    }

    var text: String { EmailAddress(local: local, domain: domain).description }

    static func folded(_ text: String) -> String {
        let isASCII = text.utf8.allSatisfy { $0 < 0x80 }
        let composed = isASCII ? text : text.precomposedStringWithCanonicalMapping
        return String(decoding: composed.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}
