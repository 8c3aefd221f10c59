/// How far a multi-line LIST or UIDL has come.
struct POP3Listing: Sendable {
    enum Kind: Sendable {
        case sizes
        case uniqueIDs

        /// The scan listing (RFC 1939 §5) or unique-id listing (§7) of one message.
        func append(_ position: Int, of entries: any MaildropEntries, to output: inout POP3Output) {
            output.append(position + 1)
            output.append(space)
            switch self {
            case .sizes: output.append(entries.octets(at: position))
            case .uniqueIDs: output.appendUIDL(at: position, of: entries)
            }
            output.endLine()
        }
    }

    let kind: Kind
    /// The position of the next message to look at.
    var next = 0
}
