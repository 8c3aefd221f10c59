import Mail
import SMTP
import Testing

@Suite("Replies")
struct SMTPReplyTests {
    private func text(_ verdict: Verdict) -> String {
        SMTPReply(verdict, accepted: SMTPReply(250, "2.0.0", "ok")).bytes.text
    }

    @Test("RFC 5321 §4.2.1: every line but the last has a hyphen behind its code")
    func lines() {
        #expect(SMTPReply(250, "", lines: ["a", "b"]).bytes.text == "250-a\r\n250 b\r\n")
        #expect(text(.refused(Reason(550, "5.1.1", "one\ntwo"))) == "550-5.1.1 one\r\n550 5.1.1 two\r\n")
        #expect(text(.accepted) == "250 2.0.0 ok\r\n")
    }

    @Test(
        "No text makes a reply of its own",
        arguments: ["a\r\n250 b", "a\rb", "a\u{85}b", "a\u{2028}250 ok", "\u{0}", "", "\n"])
    func injection(_ hostile: String) {
        let lines = text(.deferred(Reason(451, "4.3.0", hostile))).split(separator: "\r\n")
        #expect(
            !lines.isEmpty && lines.allSatisfy { $0.hasPrefix("451") && !$0.utf8.contains { $0 < 0x20 || $0 > 0x7E } })
    }

    @Test("RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets")
    func length() {
        let reply = text(.refused(Reason(550, "5.1.1", String(repeating: "x", count: 2000))))
        #expect(reply.utf8.count <= 512)
    }

    @Test("RFC 5321 §4.2.1: a deferral is 4xx, a refusal 5xx, whatever the reason says")
    func kinds() {
        #expect(text(.deferred(Reason(550, "5.1.1", "x"))) == "451 4.0.0 x\r\n")
        #expect(text(.refused(Reason(450, "4.1.1", "x"))) == "550 5.0.0 x\r\n")
        #expect(text(.deferred(Reason(421, "4.3.2", "x"))) == "451 4.3.2 x\r\n")
        #expect(text(.refused(Reason(99_999, "bad\r\n", "x"))) == "550 5.0.0 x\r\n")
    }
}
