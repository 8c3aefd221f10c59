import Directory
import Mail
import Testing

@Suite struct DomainNameTests {
    @Test(
        "RFC 3492: a label beyond ASCII has one A-label",
        arguments: [
            ("Example.TEST", "example.test"), ("bücher.test", "xn--bcher-kva.test"), ("BÜCHER.test", "xn--bcher-kva.test"),
            ("bu\u{308}cher.test", "xn--bcher-kva.test"), ("münchen.bücher.test", "xn--mnchen-3ya.xn--bcher-kva.test"),
            ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"), ("почемужеонинеговорятпорусски", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"),
            ("ü", "xn--tda"), ("", ""),
        ])
    func labels(name: String, ascii: String) {
        #expect(DomainName.ascii(name) == ascii)
    }

    @Test("A domain with an umlaut is one domain, however its name is written")
    func oneDomain() async throws {
        let site = try Site()
        #expect(try await site.administration.addDomain("Bücher.test") == "xn--bcher-kva.test")
        await #expect(throws: DirectoryAdministrationError.domainExists("xn--bcher-kva.test")) {
            try await site.administration.addDomain("xn--bcher-kva.test")
        }
        try await site.administration.addAccount(address("alice@bücher.test"), password: "x")
        for domain in ["bücher.test", "BÜCHER.test", "xn--bcher-kva.test"] {
            guard case .mailboxes(let found) = try await site.frontend.resolve(address("alice@\(domain)")) else {
                Issue.record("\(domain) is not found")
                continue
            }
            #expect(found.map(\.mailbox) == [try mailbox("alice@xn--bcher-kva.test")])
        }
    }

    @Test("A name that cannot be remembered is not remembered as unknown either")
    func negativeAnswers() async throws {
        let site = try await Site.withAccounts()
        let cache = CachedDirectory(wrapping: site.frontend, lifetime: .zero)
        let carol = try address("carol@example.test")
        #expect(try await cache.resolve(carol) == .unknownUser)
        try await site.administration.addAccount(carol, password: "x")
        #expect(try await cache.resolve(carol) == mailboxes(("carol@example.test", "carol@example.test")))
    }

    @Test("An alias to several accounts goes to all of them or to none")
    func aliasTransaction() async throws {
        let administration = try await Site.withAccounts().administration
        let info = try address("info@example.test")
        let (alice, bob, carol) = (
            try address("alice@example.test"), try address("bob@example.test"), try address("carol@example.test")
        )
        await #expect(throws: DirectoryAdministrationError.noSuchAccount("carol@example.test")) {
            try await administration.addAlias(info, targets: [alice, bob, carol])
        }
        #expect(try await administration.listAliases().isEmpty)
        try await administration.addAlias(info, targets: [alice, bob])
        #expect(try await administration.listAliases().first?.targets.count == 2)
    }
}
