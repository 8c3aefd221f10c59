import Mail
import Testing

@testable import Maildirs

/// What makes two files arrivals of one message: the digest is a function of the file, and of what its sender sent.
@Suite struct ContentScannerTests {
    private func digest(_ text: String, pieces size: Int = .max, countsRecipient: Bool = false) -> ContentDigest? {
        var scanner = ContentScanner(countsRecipient: countsRecipient)
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: min(size, max(1, bytes.count))) {
            bytes[start..<min(bytes.count, start + min(size, bytes.count))].withUnsafeBytes { scanner.add($0) }
        }
        return scanner.finish()
    }

    private let plain = "Return-Path: <s@a.test>\nMessage-ID: <1@a.test>\nSubject: x\n\nbody\n"

    @Test(
        "Received with its folded lines and Delivered-To are set aside, whatever their case and wherever they stand",
        arguments: [
            "Return-Path: <s@a.test>\nDelivered-To: a@b.test\nReceived: from x\n\tby y\n  with z;\n date\nMessage-ID: <1@a.test>\nSubject: x\n\nbody\n",
            "Return-Path: <s@a.test>\nrECEIVED : from x\nMessage-ID: <1@a.test>\nDELIVERED-TO:\n\tx\nSubject: x\n\nbody\n",
            "Received:\nReceived: b\nReturn-Path: <s@a.test>\nMessage-ID: <1@a.test>\nSubject: x\nReceived: c\n\nbody\n",
        ])
    func trace(text: String) {
        #expect(digest(plain) != nil)
        #expect(digest(text) == digest(plain))
    }

    @Test("Where messages of several recipients lie in one folder, Delivered-To counts, and Received does not")
    func recipient() {
        let first = "Return-Path: <s@a.test>\nDelivered-To: a@b.test\n"
        let rest = "Message-ID: <1@a.test>\nSubject: x\n\nbody\n"
        let told = digest(first + rest, countsRecipient: true)
        #expect(told != nil)
        #expect(digest(first + "Received: from x\n\tby y\n" + rest, countsRecipient: true) == told)
        #expect(digest(first.replacing("a@b", with: "c@b") + rest, countsRecipient: true) != told)
        #expect(digest(plain, countsRecipient: true) == digest(plain))
    }

    @Test(
        "Everything else counts: the sender, other fields, blanks, folded lines of other fields, the text",
        arguments: [
            "Return-Path: <t@a.test>\nMessage-ID: <1@a.test>\nSubject: x\n\nbody\n",
            "Return-Path: <s@a.test>\nMessage-ID: <2@a.test>\nSubject: x\n\nbody\n",
            "Return-Path: <s@a.test>\nMessage-ID: <1@a.test>\nSubject:  x\n\nbody\n",
            "Return-Path: <s@a.test>\nMessage-ID: <1@a.test>\nSubject: x\n y\n\nbody\n",
            "Return-Path: <s@a.test>\nMessage-ID: <1@a.test>\nSubject: x\nX-Received: y\n\nbody\n",
            "Return-Path: <s@a.test>\nMessage-ID: <1@a.test>\nSubject: x\nReceived\n\nbody\n",
            "Return-Path: <s@a.test>\nMessage-ID: <1@a.test>\nSubject: x\n\nbody",
            "Return-Path: <s@a.test>\nMessage-ID: <1@a.test>\nSubject: x\n\nReceived: x\nbody\n",
            "Return-Path: <s@a.test>\nMessage-ID: <1@a.test>\nSubject: x\nbody\n",
            "Return-Path: <s@a.test>\nMessage-ID: <1@a.test>\n\nSubject: x\n\nbody\n",
        ])
    func counts(text: String) {
        #expect(digest(text) != nil)
        #expect(digest(text) != digest(plain))
    }

    @Test(
        "Without a Message-ID field in the header there is none",
        arguments: [
            "", "\n", "Subject: x\n\nMessage-ID: <1@a.test>\n", "Subject: x\n Message-ID: <1@a.test>\n\nbody\n",
            "Message-ID <1@a.test>\n\nbody\n", "X-Message-ID: <1@a.test>\n\nbody\n",
            "\nMessage-ID: <1@a.test>\n\nbody\n",
            "Message-IDx: <1@a.test>\n\nbody\n",
        ])
    func withoutMessageID(text: String) {
        #expect(digest(text) == nil)
    }

    @Test("The digest is the beginning of SHA-256 over what counts")
    func value() {
        // printf 'Message-ID: <1@a.test>\n\nbody\n' | openssl dgst -sha256 -binary | head -c 16 | basenc --base64url
        #expect(digest("Received: x\nMessage-ID: <1@a.test>\n\nbody\n")?.description == "ucCGfVgOfSrC61QukCQVDA")
    }

    @Test("However the file is cut into pieces, the digest is the same, with long lines and a header that never ends")
    func pieces() {
        let long = String(repeating: "y", count: 9_000)
        let texts = [
            plain, "Received: \(long)\n\t\(long)\nMessage-ID: <1@a.test>\nX: \(long)\n \(long)\n\n\(long)\n",
            "Message-ID: <1@a.test>\n" + String(repeating: "Received: a\nField: b\n", count: 700),
            "\(long): x\nMessage-ID: <1@a.test>\n\nbody\n",
            "Received" + String(repeating: " ", count: 5_000) + ": x\nMessage-ID: <1@a.test>\n\nbody\n",
        ]
        for text in texts {
            let whole = digest(text)
            #expect(whole != nil)
            for size in [1, 2, 3, 7, 64, 4_096, 4_097] { #expect(digest(text, pieces: size) == whole, "\(size)") }
        }
    }
}
