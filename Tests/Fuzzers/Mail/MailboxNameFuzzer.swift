import Mail

/// Mailbox names, as text and as folders, from any bytes: what is taken comes back from both forms, no folder name can
/// climb out of its place.
func fuzzMailboxName(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    if let name = MailboxName(text) { check(name) }
    let halves = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard halves.count == 2,
        let name = MailboxName(domainComponent: halves[0], mailboxComponent: halves[1])
    else { return }
    let components = name.pathComponents
    precondition(
        components.domain.utf8.elementsEqual(halves[0].utf8) && components.mailbox.utf8.elementsEqual(halves[1].utf8),
        "\(halves) and \(components) are one mailbox")
    check(name)
}

private func check(_ name: MailboxName) {
    let (domain, mailbox) = name.pathComponents
    for component in [domain, mailbox] {
        precondition((1...255).contains(component.utf8.count), "a folder name of \(component.utf8.count) bytes")
        precondition(component.utf8.first != UInt8(ascii: "."), "the hidden folder \(component)")
        precondition(component.utf8.allSatisfy(isSafe), "the odd folder \(component)")
    }
    precondition(MailboxName(domainComponent: domain, mailboxComponent: mailbox) == name, "\(name) is lost on disk")
    // Text is split at the last "@": a domain that holds one cannot come back from it.
    if !name.domain.utf8.contains(UInt8(ascii: "@")) {
        precondition(MailboxName(name.description) == name, "\(name) is lost as text")
    }
}

private func isSafe(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "F"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    default: "._+~-=".utf8.contains(byte)
    }
}
