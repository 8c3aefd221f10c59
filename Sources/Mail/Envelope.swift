/// Who sends a message, as MAIL FROM says it: an address, or nobody (the null reverse-path of RFC 5321 §4.5.5).
package enum ReversePath: Hashable, Sendable {
    case null
    case address(EmailAddress)

    /// Whether SMTP can carry it without SMTPUTF8 (RFC 6531).
    package var isASCII: Bool {
        switch self {
        case .null: true
        case .address(let address): address.isASCII
        }
    }
}

extension ReversePath: CustomStringConvertible {
    /// As it stands in `MAIL FROM:` and `Return-Path:`, with the angle brackets.
    package var description: String {
        switch self {
        case .null: "<>"
        case .address(let address): String("<", address.description, ">")
        }
    }

    /// Puts the description behind what is there.
    package func append(to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "<"))
        if case .address(let address) = self { address.append(to: &bytes) }
        bytes.append(UInt8(ascii: ">"))
    }
}

/// One mailbox that a message goes to, and the address to name in `Delivered-To:`.
package struct Destination: Hashable, Sendable {
    package let mailbox: MailboxName
    package let address: EmailAddress

    package init(mailbox: MailboxName, address: EmailAddress) {
        self.mailbox = mailbox
        self.address = address
    }
}
