import Testing

@testable import Mail

@Suite("Addresses")
struct EmailAddressTests {
    @Test("RFC 5321 §2.4: a domain does not depend on case, a local part may")
    func domainCase() {
        #expect(EmailAddress("Alice@EXAMPLE.test") == EmailAddress(local: "Alice", domain: "example.test"))
        #expect(EmailAddress("alice@example.test") != EmailAddress("Alice@example.test"))
    }

    @Test(
        "an address needs both parts, and holds no blanks or controls",
        arguments: ["", "@", "a@", "@b", "a b@c", "a@b\n", "a"])
    func malformed(text: String) {
        #expect(EmailAddress(text) == nil)
    }

    @Test("the last @ divides")
    func lastAt() {
        #expect(EmailAddress("a@b@c.test")?.local == "a@b")
    }

    @Test(
        "RFC 5321 §4.1.2: a local part that is no dot-string is quoted",
        arguments: [
            ("alice", "alice@x.test"), ("a.b", "a.b@x.test"), ("a..b", "\"a..b\"@x.test"), (".a", "\".a\"@x.test"),
            ("a b", "\"a b\"@x.test"), ("a\"b", "\"a\\\"b\"@x.test"), ("a\\b", "\"a\\\\b\"@x.test"),
            ("jörg", "jörg@x.test"), ("a@b", "\"a@b\"@x.test"),
        ])
    func description(local: String, expected: String) {
        #expect(EmailAddress(local: local, domain: "x.test").description == expected)
    }
}
