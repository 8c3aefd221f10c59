import SMTP
import Testing

@Suite("Header scanner")
struct HeaderScannerTests {
    private func scan(_ text: String, piece: Int) -> HeaderScanner {
        var scanner = HeaderScanner()
        var rest = text.bytes[...]
        while !rest.isEmpty {
            rest.prefix(piece).withUnsafeBytes { scanner.scan($0) }
            rest = rest.dropFirst(piece)
        }
        return scanner
    }

    @Test("RFC 5321 §6.3: Received fields are counted in the header only", arguments: [1, 2, 7, 1000])
    func received(piece: Int) {
        let text =
            "Received: a\r\n\tReceived: folded\r\nrEcEiVeD\t : b\r\nX-Received: c\r\nReceivedX: d\r\n\r\nReceived: e\r\n"
        let scanner = scan(text, piece: piece)
        #expect(scanner.findings.receivedCount == 2)
        #expect(scanner.isFinished)
    }

    @Test("A first line that begins with a blank is told, a later one is not", arguments: [1, 1000])
    func firstBlank(piece: Int) {
        #expect(scan(" x\r\nReceived: a\r\n", piece: piece).findings.beginsWithBlank)
        #expect(scan("\tx", piece: piece).findings.beginsWithBlank)
        #expect(!scan("Subject: x\r\n y\r\n\r\n z\r\n", piece: piece).findings.beginsWithBlank)
        #expect(!scan("\r\n x\r\n", piece: piece).findings.beginsWithBlank)
    }

    @Test("Delivered-To is collected, unfolded, its domain in lower case", arguments: [1, 3, 1000])
    func deliveredTo(piece: Int) {
        let text =
            "Delivered-To: Alice@EXAMPLE.test\r\nDelivered-To:\r\n  <bob@Example.Test>\r\nMessage-Id: <1>\r\n\r\n"
        let findings = scan(text, piece: piece).findings
        #expect(findings.deliveredTo == ["Alice@example.test", "bob@example.test"])
        #expect(findings.hasMessageID)
        #expect(findings.wasDelivered(to: "Alice@Example.test"))
        #expect(!findings.wasDelivered(to: "carol@example.test"))
    }

    @Test("Values and their number are bounded")
    func bounded() {
        let long = "Delivered-To: " + String(repeating: "x", count: 100_000) + "\r\n"
        let many = String(repeating: "Delivered-To: a@b\r\n", count: 1000)
        let findings = scan(long + many + "\r\n", piece: 50).findings
        #expect(findings.deliveredTo.count <= 64)
        #expect(findings.deliveredTo.allSatisfy { $0.utf8.count <= 330 })
    }

    @Test("A message without a header has no findings")
    func noHeader() {
        #expect(scan("\r\nReceived: a\r\n", piece: 1000).findings == HeaderScanner.Findings())
    }
}
