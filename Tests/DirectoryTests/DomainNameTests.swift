import Directory
import Mail
import Testing

@Suite struct DomainNameTests {
    @Test(
        "RFC 3492: a label beyond ASCII has one A-label",
        arguments: [
            ("Example.TEST", "example.test"), ("bücher.test", "xn--bcher-kva.test"),
            ("BÜCHER.test", "xn--bcher-kva.test"),
            ("bu\u{308}cher.test", "xn--bcher-kva.test"), ("münchen.bücher.test", "xn--mnchen-3ya.xn--bcher-kva.test"),
            ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
            ("почемужеонинеговорятпорусски", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"),
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
}
