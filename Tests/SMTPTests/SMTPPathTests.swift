import Mail
import SMTP
import Testing

@Suite("Paths")
struct SMTPPathTests {
    @Test(
        "RFC 5321 §4.1.2: paths that are taken",
        arguments: [
            ("<a@b>", "a", "b"), ("<a.b@C.Example>", "a.b", "c.example"),
            ("<!#$%&'*+-/=?^_`{|}~@x>", "!#$%&'*+-/=?^_`{|}~", "x"),
            ("<\"\"@x>", "", "x"), ("<\"a b\"@x>", "a b", "x"), ("<\"\\\"\\\\\"@x>", "\"\\", "x"),
            ("<\"a@b\"@x>", "a@b", "x"),
            ("<@r.example:a@b>", "a", "b"), ("<@r,@[192.0.2.1]:a@b>", "a", "b"), ("<a@1.2>", "a", "1.2"),
            ("<ü@bücher.example>", "ü", "bücher.example"),
        ])
    func taken(_ text: String, local: String, domain: String) {
        #expect(parsePath(text) == .address(EmailAddress(local: local, domain: domain)))
    }

    @Test(
        "RFC 5321 §4.1.2: what is no path",
        arguments: [
            "", "<", "a@b", "<a@b", "<a>", "<@b>", "<a@>", "<.a@b>", "<a.@b>", "<a..b@c>", "<a b@c>", "<a@b..c>",
            "<a@.b>",
            "<a@b.>", "<a@-b>", "<a@b->", "<a@b_c>", "<\"a@b>", "<\"a\"b@c>", "<\"a\\\"@b>", "<a@b@c>", "<@r:>",
            "<@r;a@b>",
            "<@:a@b>", "<a\u{1}@b>", "<\"a\u{7F}\"@b>", "<\"\\\u{1}\"@b>", "<a,b@c>", "< a@b>", "<a@b >",
        ])
    func refused(_ text: String) {
        #expect(parsePath(text) == nil)
    }

    @Test(
        "What came another way can be said as a path, or not",
        arguments: [
            ("a", "b.example", true), ("a b", "b.example", true), ("a\"\\", "b.example", true),
            ("ü", "bücher.example", true), ("", "b.example", true),
            (String(repeating: "x", count: 64), "b.example", true),
            (String(repeating: "x", count: 65), "b.example", false), ("a", "my_host.example", false),
            ("a", "b..c", false), ("a", "b.", false), ("a", "b>", false), ("a", "b> SIZE=1", false),
        ])
    func said(local: String, domain: String, isSaid: Bool) {
        #expect(SMTPPath.canSay(EmailAddress(local: local, domain: domain)) == isSaid)
    }

    @Test("RFC 5321 §4.5.5: the null path")
    func null() {
        #expect(parsePath("<>") == .null)
    }

    @Test("RFC 5321 §4.5.1: postmaster needs no domain, in any case of letters")
    func postmaster() {
        #expect(parsePath("<PostMaster>") == .postmaster)
        #expect(parsePath("<\"postmaster\">") == nil)
    }

    @Test("RFC 5321 §4.5.3.1: 64 octets of local part, 63 of label, 255 of domain, 254 of mailbox")
    func lengths() {
        func string(_ count: Int) -> String { String(repeating: "a", count: count) }
        #expect(parsePath("<\(string(64))@b>") != nil)
        #expect(parsePath("<\(string(65))@b>") == nil)
        #expect(parsePath("<a@\(string(63)).b>") != nil)
        #expect(parsePath("<a@\(string(64)).b>") == nil)
        let domain = [string(63), string(63), string(63), string(60)].joined(separator: ".")
        #expect(parsePath("<a@\(domain)>") != nil)
        #expect(parsePath("<aa@\(domain)>") == nil)
    }

    @Test("RFC 6531 §3.3: what is not ASCII is UTF-8")
    func utf8() {
        let bytes: [UInt8] = [0x3C, 0xC3, 0x40, 0x62, 0x3E]
        #expect(bytes.withUnsafeBytes { SMTPPath.parse($0)?.path } == nil)
    }

    @Test(
        "RFC 5321 §4.1.3: address literals that are taken",
        arguments: [
            "192.0.2.1", "0.0.0.0", "255.255.255.255", "IPv6:::", "IPv6:::1", "IPv6:1::", "ipv6:2001:db8::1",
            "IPv6:1:2:3:4:5:6:7:8", "IPv6:::ffff:192.0.2.1", "IPv6:1:2:3:4:5:6:192.0.2.1", "tag:content",
        ])
    func literal(_ text: String) {
        #expect(parsePath("<a@[\(text)]>") == .address(EmailAddress(local: "a", domain: "[\(text)]")))
    }

    @Test(
        "RFC 5321 §4.1.3: what is no address literal",
        arguments: [
            "", "192.0.2", "192.0.2.256", "192.0.2.1.1", "1..2.3", "IPv6:", "IPv6:1", "IPv6::1", "IPv6:1:2:3:4:5:6:7",
            "IPv6:1:2:3:4:5:6:7:8:9", "IPv6:1::2::3", "IPv6:12345::", "IPv6:g::", "IPv6::::", "IPv6:1:::2", "IPv6:1:",
            "IPv6:192.0.2.1", "IPv6:1:2:3:4:5:6:7:192.0.2.1", "IPv6:1::2:3:4:5:6:7:8", "tag:", ":x", "tag-:x", "a b",
        ])
    func noLiteral(_ text: String) {
        #expect(parsePath("<a@[\(text)]>") == nil)
    }
}
