package import Mail

/// A line of the answer to XPART: a mailbox and its digest.
package enum PartitionListing {
    static func line(_ mailbox: MailboxName, _ digest: String) -> String {
        "\(String(decoding: Xtext.encode(mailbox.description), as: UTF8.self)) \(digest)"
    }

    /// Nil if it is no such line.
    package static func parse(_ line: [UInt8]) -> (mailbox: MailboxName, digest: Substring)? {
        let text = String(decoding: line, as: UTF8.self)
        guard let space = text.firstIndex(of: " ") else { return nil }
        let name = Array(text[..<space].utf8).withUnsafeBytes { Xtext.decode($0[...]) }
        return name.flatMap { MailboxName($0) }.map { ($0, text[text.index(after: space)...]) }
    }
}
