/// The messages of a maildrop in their order, as whoever listed them keeps them; they do not change any more.
///
/// A list of `MaildropEntry` is one. A store with large mailboxes has a compact one, which its sessions share.
package protocol MaildropEntries: Sendable {
    var count: Int { get }
    /// The sum of all messages' octets.
    var octets: Int { get }
    /// The message's size as it is sent, with CRLF line ends, before dot-stuffing.
    func octets(at index: Int) -> Int
    /// The message's unique id: 1 to 70 characters of 0x21 to 0x7E (RFC 1939 §7).
    func uidl(at index: Int) -> String
    /// The unique id behind what `output` holds, without making a string of it.
    func appendUIDL(at index: Int, to output: inout [UInt8])
}

/// One message of a maildrop, as LIST and UIDL tell of it (RFC 1939 §5, §7).
package struct MaildropEntry: Sendable, Hashable {
    /// The unique id: see `MaildropEntries`.
    package let uidl: String
    /// The message's size as it is sent, with CRLF line ends, before dot-stuffing.
    package let octets: Int

    package init(uidl: String, octets: Int) {
        self.uidl = uidl
        self.octets = octets
    }
}

extension [MaildropEntry]: MaildropEntries {
    package var octets: Int { reduce(0) { $0 &+ $1.octets } }

    package func octets(at index: Int) -> Int { self[index].octets }

    package func uidl(at index: Int) -> String { self[index].uidl }

    package func appendUIDL(at index: Int, to output: inout [UInt8]) {
        output.append(contentsOf: self[index].uidl.utf8)
    }
}
