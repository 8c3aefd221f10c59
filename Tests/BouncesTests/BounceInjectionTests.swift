import Bounces
import Mail
import Testing

@Suite("Delivery status notifications, from hostile material")
struct BounceInjectionTests {
    private static let evil = "x\r\nX-Evil: yes\r\n\r\n--=_hauberk_0=\r\nbody \u{0}\u{1B}[2J\u{85}\u{2028}\u{202E}"

    private func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] { bytes.split(separator: 0x0A) }

    private func check(_ notice: BounceMessage?) throws -> Parsed {
        let message = try #require(notice)
        #expect(lines(message.bytes).allSatisfy { $0.last == 0x0D && $0.count <= 999 && !$0.dropLast().contains(0x0D) })
        #expect(message.bytes.suffix(2) == [0x0D, 0x0A] && !message.bytes.contains(0))
        return try #require(Parsed(message))
    }

    @Test("Words of strangers make no field, no part and no line, wherever they stand")
    func everywhere() throws {
        let evil = EmailAddress(local: Self.evil, domain: Self.evil)
        let recipients = [Verdict.refused, Verdict.deferred].map { kind in
            FailedRecipient(
                address: evil, verdict: kind(Reason(550, Self.evil, Self.evil)),
                originalRecipient: "rfc822;" + Self.evil, remoteHost: Self.evil)
        }
        var message = failed(.address(evil), "A: b\n\n", recipients: recipients)
        message.envelopeID = Self.evil
        let wicked = BouncePlan(reportingHost: Self.evil, postmaster: evil)
        for sender in [ReversePath.null, .address(evil)] {
            message.sender = sender
            let parsed = try check(notice(message, plan: wicked, messageID: Self.evil))
            #expect(parsed.parts.count == 3)
            let all =
                parsed.header + parsed.parts.flatMap { $0.fields + $0.body.split(separator: "\r\n").map(String.init) }
            #expect(!all.contains { $0.hasPrefix("X-Evil") || $0.hasPrefix("--") || $0.hasPrefix("body") })
            #expect(
                !all.joined().unicodeScalars.contains { "\u{1B}\u{85}\u{2028}\u{202E}".unicodeScalars.contains($0) })
        }
    }

    @Test("Endless words are cut, between two characters")
    func long() throws {
        for unit in ["a", "ü", "漢", "🙂", "e\u{301}"] {
            let text = String(repeating: unit, count: 20_000)
            let address = EmailAddress(local: text, domain: text)
            let recipient = FailedRecipient(
                address: address, verdict: .refused(Reason(550, text, text)), originalRecipient: "rfc822;" + text,
                remoteHost: text)
            for sender in [ReversePath.null, .address(address)] {
                var message = failed(sender, "A: b\n\n", recipients: [recipient])
                message.envelopeID = text
                let sent = try #require(notice(message, messageID: text))
                #expect(try check(sent).parts.count == 3)
                #expect(sent.bytes.count < 16_384 && String(validating: sent.bytes, as: UTF8.self) != nil)
            }
        }
    }

    @Test("RFC 2046 §5.1.1: the boundary is in no part, whatever the original holds")
    func boundary() throws {
        let taken = (0..<20).map { "--=_hauberk_\($0)=\n" }.joined()
        let content = "--=_hauberk_0=: x\n\n" + taken + "--=_hauberk_99999999999999999999999=\n--=_hauberk_\n"
        let message = try #require(notice(failed(.null, content, isWhole: true)))
        let parsed = try check(message)
        #expect(parsed.header.contains { $0.hasSuffix("boundary=\"=_hauberk_20=\"") })
        #expect(parsed.parts[2].body == content.replacing("\n", with: "\r\n"))
        let ofBounce = try check(notice(failed(.null, String(decoding: message.bytes, as: UTF8.self), isWhole: true)))
        #expect(ofBounce.parts.count == 3 && ofBounce.parts[2].body.utf8.elementsEqual(message.bytes))
    }

    @Test("Any bytes may be the original's header: lines too long, alone CRs, NULs, blanks at ends")
    func headers() throws {
        let odd = "A: " + String(repeating: "y", count: 3000) + "\nB: a\rb\nC: \0\nD: trailing \t\n\nnot this"
        let parsed = try check(notice(failed(.null, odd)))
        #expect(parsed.parts[2].fields.contains("Content-Transfer-Encoding: quoted-printable"))
        let body = parsed.parts[2].body
        #expect(body.contains("B: a=0Db\r\nC: =00\r\nD: trailing =09\r\n") && !body.contains("not this"))
        #expect(body.split(separator: "\r\n").allSatisfy { $0.utf8.count <= 76 })
        #expect(body.replacing("=\r\n", with: "").contains(String(repeating: "y", count: 3000) + "\r\n"))
    }
}
