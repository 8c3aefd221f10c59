import Testing

@testable import Mail

@Suite("Mailbox names and their folders")
struct MailboxNameTests {
    @Test("plain names are their own folders")
    func plain() throws {
        let name = try #require(MailboxName("alice~2@example.test"))
        #expect(name.pathComponents == ("example.test", "alice~2"))
    }

    @Test(
        "nothing that a name holds reaches a path unescaped",
        arguments: [
            ("..", "=2E."), (".", "=2E"), ("a/b", "a=2Fb"), (".hidden", "=2Ehidden"), ("Upper", "=55pper"),
            ("a=b", "a=3Db"), ("a:b,c", "a=3Ab=2Cc"), ("ö", "=C3=B6"), ("a b", "a=20b"),
        ])
    func escapes(local: String, folder: String) throws {
        let name = try #require(MailboxName(local: local, domain: "example.test"))
        #expect(name.pathComponents.mailbox == folder)
        #expect(MailboxName(domainComponent: "example.test", mailboxComponent: folder) == name)
    }

    @Test("a domain cannot climb out of its folder either")
    func domain() throws {
        let name = try #require(MailboxName(local: "a", domain: "../.."))
        #expect(name.pathComponents.domain == "=2E.=2F..")
    }

    @Test("empty parts, controls and names beyond 255 bytes are no names")
    func refused() {
        #expect(MailboxName(local: "", domain: "x.test") == nil)
        #expect(MailboxName(local: "a\0", domain: "x.test") == nil)
        #expect(MailboxName(local: "a\n", domain: "x.test") == nil)
        #expect(MailboxName(local: String(repeating: "a", count: 256), domain: "x.test") == nil)
        #expect(MailboxName(local: String(repeating: "A", count: 86), domain: "x.test") == nil)
        #expect(MailboxName("nobody") == nil)
    }

    @Test("a folder that no name makes is nobody's", arguments: ["=", "=2", "=ZZ", "=61", "a=2fb", "=FF", "A", ".x"])
    func foreignFolders(folder: String) {
        #expect(MailboxName(domainComponent: "x.test", mailboxComponent: folder) == nil)
    }

    @Test(
        "the account is the name without the number of a later account; what is no such number stays",
        arguments: [
            ("alice", "alice"), ("alice~2", "alice"), ("alice~10", "alice"), ("alice~", "alice~"), ("~2", "~2"),
            ("alice~02", "alice~02"), ("alice~0", "alice~0"), ("a~b~3", "a~b"), ("a~2~3", "a~2"), ("a~2~", "a~2~"),
            ("a~x", "a~x"), ("a~2x", "a~2x"), ("a~-2", "a~-2"), ("a~²", "a~²"), ("a~٢", "a~٢"), ("ö~2", "ö"),
            ("~~2", "~"), ("a b~2", "a b"), ("a~18446744073709551616", "a"),
        ])
    func account(local: String, account: String) throws {
        let name = try #require(MailboxName(local: local, domain: "Example.test"))
        #expect(name.account == EmailAddress(local: account, domain: "example.test"))
    }

    @Test("every name that can be has a folder of its own, and comes back from it")
    func roundTrip() throws {
        var random = SystemRandomNumberGenerator()
        var folders: [String: MailboxName] = [:]
        for _ in 0..<5_000 {
            let local = String(
                String.UnicodeScalarView(
                    (0..<Int.random(in: 1...12, using: &random)).compactMap { _ in
                        Unicode.Scalar(UInt32.random(in: 0x20...0x17F, using: &random))
                    }))
            guard let name = MailboxName(local: local, domain: "x.test") else { continue }
            let (domain, folder) = name.pathComponents
            #expect(!folder.contains("/") && !folder.hasPrefix("."))
            #expect(MailboxName(domainComponent: domain, mailboxComponent: folder) == name)
            #expect(folders.updateValue(name, forKey: folder).map { $0 == name } ?? true)
        }
    }
}
