import Directory
import Mail
import Testing

@Suite struct AliasTargetsTests {
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
