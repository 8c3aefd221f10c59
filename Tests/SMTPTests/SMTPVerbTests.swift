import Testing

@testable import SMTP

@Suite("Verbs")
struct SMTPVerbTests {
    private func parse(_ text: String) -> (verb: SMTPVerb?, arguments: String) {
        text.bytes.withUnsafeBytes { bytes in
            let (verb, start) = SMTPVerb.parse(bytes)
            return (verb, Array(bytes[start...]).text)
        }
    }

    @Test("RFC 5321 §2.4: verbs do not depend on case", arguments: ["MAIL", "mail", "mAiL"])
    func letters(_ text: String) {
        #expect(parse(text + " FROM:<>") == (.mail, "FROM:<>"))
    }

    @Test(
        "RFC 5321 §4.1.1: what only begins like a verb is none",
        arguments: ["", "MAI", "MAILX", "STARTTLSX", "\u{0}MAIL", "M\u{1}IL"])
    func others(_ text: String) {
        #expect(parse(text).verb == nil)
    }

    @Test("RFC 1985 §5, RFC 2645 §5.2.1: ETRN and ATRN")
    func queues() {
        #expect(parse("etrn @example.org") == (.etrn, "@example.org"))
        #expect(parse("Atrn") == (.atrn, ""))
        #expect(parse("ETRN#queue").verb == nil)
    }

    @Test("RFC 3207 §4: the longest verb")
    func longest() {
        #expect(parse("starttls") == (.startTLS, ""))
    }
}
