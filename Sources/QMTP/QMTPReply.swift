package import Mail

/// One answer of a QMTP or QMQP server: K, Z or D, and a line for people.
package struct QMTPReply: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        case accepted = 75  // K
        case deferred = 90  // Z
        case refused = 68  // D
    }

    package let kind: Kind
    /// As it came, up to `textBytesMax` octets.
    package let text: [UInt8]

    package static let textBytesMax = 2000

    init(kind: Kind, text: [UInt8]) {
        self.kind = kind
        self.text = text
    }

    /// The answer that tells a verdict; it is one line of printable characters, whatever the reason holds.
    package init(_ verdict: Verdict) {
        let told: String
        switch verdict {
        case .accepted: (kind, told) = (.accepted, "250 2.0.0 accepted")
        case .deferred(let reason): (kind, told) = (.deferred, "\(reason)")
        case .refused(let reason): (kind, told) = (.refused, "\(reason)")
        }
        text = told.utf8.prefix(Self.textBytesMax).map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
    }

    package var bytes: [UInt8] { Netstring.encode([kind.rawValue] + text) }

    package var verdict: Verdict {
        switch kind {
        case .accepted: .accepted
        case .deferred: .deferred(reason(451, "4.0.0"))
        case .refused: .refused(reason(550, "5.0.0"))
        }
    }

    /// Takes code and status from the text if they stand in front; qmail's `(#5.1.1)` at the end is a status too.
    private func reason(_ code: Int, _ status: String) -> Reason {
        let line = String(decoding: text, as: UTF8.self)
        let words = line.split(separator: " ", maxSplits: 2)
        if words.count == 3, let told = Int(words[0]), told / 100 == code / 100, isStatus(words[1], status) {
            return Reason(told, String(words[1]), String(words[2]))
        }
        if line.hasSuffix(")"), let mark = line.lastIndex(of: "#") {
            let told = line[line.index(after: mark)...].dropLast()
            if isStatus(told, status) { return Reason(code, String(told), line) }
        }
        return Reason(code, status, line)
    }

    private func isStatus(_ text: Substring, _ status: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 3 && text.first == status.first
            && parts.allSatisfy { (1...3).contains($0.utf8.count) && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    }
}
