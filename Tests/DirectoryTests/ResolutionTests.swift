import Directory
import Mail
import Testing

@Suite(.timeLimit(.minutes(5))) struct ResolutionTests {
    @Test("An account's address leads to its mailbox, an unknown one in our domain to nobody, and others are foreign")
    func kinds() async throws {
        let directory = try await Site.withAccounts().frontend
        #expect(
            try await directory.resolve(address("alice@example.test"))
                == mailboxes(("alice@example.test", "alice@example.test")))
        #expect(try await directory.resolve(address("carol@example.test")) == .unknownUser)
        #expect(try await directory.resolve(address("alice@elsewhere.test")) == .foreignDomain)
        #expect(try await directory.resolve(address("alice@sub.example.test")) == .foreignDomain)
        #expect(try await directory.resolve(address("postmaster@example.test")) == .unknownUser)
    }

    @Test(
        "RFC 5321 §2.4: local parts are matched without regard to ASCII case, and the account's own spelling is told",
        arguments: ["alice@example.test", "ALICE@EXAMPLE.TEST", "aLiCe@Example.test"])
    func caseless(text: String) async throws {
        let directory = try await Site.withAccounts().frontend
        #expect(
            try await directory.resolve(address(text)) == mailboxes(("alice@example.test", "alice@example.test")))
    }

    @Test("Accents are one character or two: both spellings are one address")
    func composition() async throws {
        let site = try await Site.withAccounts()
        try await site.administration.addAccount(address("ren\u{E9}@example.test"), password: "x")
        guard case .mailboxes(let found) = try await site.frontend.resolve(address("rene\u{301}@example.test")) else {
            Issue.record("not found")
            return
        }
        #expect(found.map { Array($0.mailbox.local.utf8) } == [Array("ren\u{E9}".utf8)])
    }

    @Test("RFC 5233: a tag is left off if nobody has it as an address, and Delivered-To keeps the account's address")
    func tags() async throws {
        let site = try await Site.withAccounts()
        try await site.administration.addAccount(address("bob+own@example.test"), password: "x")
        let directory = site.frontend
        let alice = try mailboxes(("alice@example.test", "alice@example.test"))
        #expect(try await directory.resolve(address("alice+lists@example.test")) == alice)
        #expect(try await directory.resolve(address("Alice+a+b@example.test")) == alice)
        #expect(try await directory.resolve(address("alice+@example.test")) == alice)
        #expect(try await directory.resolve(address("+alice@example.test")) == .unknownUser)
        #expect(try await directory.resolve(address("alice-lists@example.test")) == .unknownUser)
        #expect(
            try await directory.resolve(address("bob+own@example.test"))
                == mailboxes(("bob+own@example.test", "bob+own@example.test")))
        #expect(
            try await directory.resolve(address("bob+other@example.test"))
                == mailboxes(("bob@example.test", "bob@example.test")))
    }

    @Test("The tag's delimiter is the operator's choice, and may be none")
    func delimiters() async throws {
        let dashed = try await Site.withAccounts { $0.subaddressDelimiter = "-" }.frontend
        #expect(
            try await dashed.resolve(address("alice-lists@example.test"))
                == mailboxes(("alice@example.test", "alice@example.test")))
        let none = try await Site.withAccounts { $0.subaddressDelimiter = nil }.frontend
        #expect(try await none.resolve(address("alice+lists@example.test")) == .unknownUser)
    }

    @Test("An alias leads to all its accounts, with a tag too, and Delivered-To names each account")
    func aliases() async throws {
        let site = try await Site.withAccounts()
        for target in ["alice@example.test", "bob@example.test"] {
            try await site.administration.addAlias(address("Postmaster@example.test"), target: address(target))
        }
        let both = try mailboxes(
            ("alice@example.test", "alice@example.test"), ("bob@example.test", "bob@example.test"))
        let directory = site.frontend
        #expect(try await directory.resolve(address("postmaster@example.test")) == both)
        #expect(try await directory.resolve(address("postmaster+dmarc@example.test")) == both)
    }

    @Test(
        "Names with quotes, wildcards or odd characters are looked up as they are",
        arguments: ["'", "\"", "%", "_", "a'; DROP TABLE accounts; --", "a\\b", "é", "..", "a/b"])
    func oddNames(local: String) async throws {
        let site = try await Site.withAccounts()
        let odd = EmailAddress(local: local, domain: "example.test")
        #expect(try await site.frontend.resolve(odd) == .unknownUser)
        let name = try await site.administration.addAccount(odd, password: "x")
        #expect(
            try await site.frontend.resolve(odd) == .mailboxes([Destination(mailbox: name, address: odd)]))
        #expect(try await site.administration.listAccounts().count == 3)
    }
}
