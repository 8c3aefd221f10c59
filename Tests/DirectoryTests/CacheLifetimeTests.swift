import Directory
import Mail
import Testing

@Suite struct CacheLifetimeTests {
    @Test("With a lifetime of zero an unknown address is not remembered either")
    func negativeAnswers() async throws {
        let site = try await Site.withAccounts()
        let cache = CachedDirectory(wrapping: site.frontend, lifetime: .zero)
        let carol = try address("carol@example.test")
        #expect(try await cache.resolve(carol) == .unknownUser)
        try await site.administration.addAccount(carol, password: "x")
        #expect(try await cache.resolve(carol) == mailboxes(("carol@example.test", "carol@example.test")))
    }
}
