import Mail

/// An operator's address from any text: what is taken has both parts and no blanks, and is the same when its parts are
/// put together again.
func fuzzEmailAddress(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    guard let address = EmailAddress(text) else { return }
    precondition(!address.local.isEmpty && !address.domain.isEmpty, "an empty part in \(address)")
    precondition(!text.utf8.contains { $0 <= 0x20 || $0 == 0x7F }, "a blank or a control in \(address)")
    precondition(!address.description.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "\(address)")
    precondition(text.utf8.starts(with: address.local.utf8), "the local part is not as it came")
    precondition(EmailAddress(local: address.local, domain: address.domain) == address, "\(address) is not its parts")
}
