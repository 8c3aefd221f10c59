import Mail
import SMTP

/// The path parser on any bytes: what it takes is bounded, and written out it is the same path.
func fuzzSMTPPath(_ input: UnsafeRawBufferPointer) {
    guard let (path, length) = SMTPPath.parse(input) else { return }
    precondition(length <= input.count && input[length - 1] == UInt8(ascii: ">"), "length \(length)")
    guard case .address(let address) = path else { return }
    precondition(address.local.utf8.count <= 64 && address.domain.utf8.count <= 1024, "\(address)")
    precondition(!address.description.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "\(address)")
    let again = Array("<\(address)>".utf8)
    let parsed = again.withUnsafeBytes { SMTPPath.parse($0) }
    // Lower case can make a U-label longer, and then too long.
    if address.domain.utf8.allSatisfy({ $0 < 0x80 }) {
        precondition(parsed?.path == path && parsed?.length == again.count, "\(address) came back otherwise")
    }
}
