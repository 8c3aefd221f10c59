import SMTP

/// The header scanner on any bytes: the same findings however the bytes are cut, and bounded ones.
func fuzzHeaderScanner(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let bytes = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    var whole = HeaderScanner()
    whole.scan(bytes)
    var cut = HeaderScanner()
    var at = 0
    while at < bytes.count {
        let end = min(bytes.count, at + 1 + Int(first) % 16)
        cut.scan(UnsafeRawBufferPointer(rebasing: bytes[at..<end]))
        at = end
    }
    precondition(whole.findings == cut.findings && whole.isFinished == cut.isFinished, "the findings depend on the cut")
    precondition(whole.findings.deliveredTo.allSatisfy { $0.utf8.count <= 1024 }, "a value is too long")
    precondition(whole.findings.deliveredTo.count <= 64, "too many values")
}
