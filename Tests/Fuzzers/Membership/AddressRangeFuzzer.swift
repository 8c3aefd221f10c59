import Membership

/// A range of addresses from any text: what is taken is written as a text that gives it again, and holds the address
/// that it is written with.
func fuzzAddressRange(_ input: UnsafeRawBufferPointer) {
    let lines = String(decoding: input, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    guard let range = AddressRange(String(lines[0])) else { return }
    let text = range.description
    precondition((0...128).contains(range.prefixLength), "\(text)")
    precondition(AddressRange(text) == range, "\(lines[0]) came back as \(text)")
    let address = String(text.prefix { $0 != "/" })
    precondition(range.contains(address), "\(text) does not hold \(address)")
    if lines.count > 1 { _ = range.contains(String(lines[1])) }
}
