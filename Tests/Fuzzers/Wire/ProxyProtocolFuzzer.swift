import Wire

/// The PROXY decoder on any bytes: it never traps, a verdict on a beginning stands for all that begins so, and what it
/// consumes is there and within bounds.
func fuzzProxyProtocol(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let decoder = ProxyProtocolDecoder(payloadBytesMax: Int(first) * 16)
    let bytes = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    let whole = decoder.decode(bytes)
    for length in 0...bytes.count {
        let part = decoder.decode(UnsafeRawBufferPointer(rebasing: bytes.prefix(length)))
        if part != .needBytes {
            precondition(part == whole, "the verdict changed from \(part) to \(whole)")
            break
        }
        precondition(length < 16 + 4096, "waits for too much")
    }
    guard case .header(let consumed, let source, _) = whole else { return }
    precondition(consumed > 0 && consumed <= bytes.count, "consumed \(consumed) of \(bytes.count)")
    guard let source else { return }
    precondition((0...65535).contains(source.port) && !source.address.isEmpty, "odd source \(source)")
    // A formatted address is one that version 1 takes, and it comes back as it is.
    let version = source.address.contains(":") ? "TCP6" : "TCP4"
    let again = Array("PROXY \(version) \(source.address) \(source.address) \(source.port) 0\r\n".utf8)
    let answer = again.withUnsafeBytes { decoder.decode($0) }
    precondition(
        answer == .header(consumed: again.count, source: source, local: false), "\(source) came back as \(answer)")
}
