import Directory
import Foundation
import Mail
import Testing

@Suite(.timeLimit(.minutes(5))) struct DomainTests {
    @Test("A domain is added once, listed with its counts, and removed when nothing is left in it")
    func life() async throws {
        let site = try await Site.withAccounts()
        let administration = site.administration
        try await administration.addAlias(address("info@example.test"), target: address("alice@example.test"))
        let row = try #require(try await administration.listDomains().first)
        #expect((row.name, row.accounts, row.aliases) == ("example.test", 2, 1))
        #expect(row.created.hasSuffix("Z"))
        await #expect(throws: DirectoryAdministrationError.domainExists("example.test")) {
            try await administration.addDomain("Example.TEST")
        }
        await #expect(throws: DirectoryAdministrationError.domainInUse("example.test", accounts: 2, aliases: 1)) {
            try await administration.removeDomain("example.test")
        }
        for name in ["alice", "bob"] { try await administration.removeAccount(address("\(name)@example.test")) }
        try await administration.removeDomain("Example.test")
        #expect(try await administration.listDomains().isEmpty)
        await #expect(throws: DirectoryAdministrationError.noSuchDomain("example.test")) {
            try await administration.removeDomain("example.test")
        }
    }

    @Test(
        "What is no domain name is refused",
        arguments: [
            "", ".", "a..b", ".a", "a.", "-a.test", "a-.test", "a b.test", "a@b.test", "[127.0.0.1]", "a/b.test",
            String(repeating: "a", count: 64), String(repeating: "aaaa.", count: 60) + "test",
        ])
    func names(name: String) async throws {
        let administration = try Site().administration
        await #expect(throws: DirectoryAdministrationError.notADomain(name)) {
            try await administration.addDomain(name)
        }
    }

    @Test(
        "The domains of relays' queues are refused, however they are written, and no others for their sake",
        arguments: [
            ("world.relay.invalid", true), ("World.Relay.INVALID", true), ("a.b.relay.invalid", true),
            ("relay.invalid", false), ("worldrelay.invalid", false), ("relay.invalid.test", false),
        ])
    func reserved(name: String, isReserved: Bool) async throws {
        let administration = try Site().administration
        guard isReserved else {
            #expect(try await administration.addDomain(name) == name)
            return
        }
        await #expect(throws: DirectoryAdministrationError.domainReserved(name.lowercased())) {
            try await administration.addDomain(name)
        }
        #expect(try await administration.listDomains().isEmpty)
    }

    @Test("An error tells the operator what to do")
    func texts() {
        #expect(
            "\(DirectoryAdministrationError.noSuchDomain("example.test"))"
                == "no such domain example.test: add it with 'hauberk domain add example.test'")
    }
}

@Suite(.timeLimit(.minutes(5))) struct AccountTests {
    @Test("A mailbox name is never used again, whoever comes to the address later")
    func mailboxNames() async throws {
        let site = try await Site.withAccounts()
        let administration = site.administration
        var names: Set<MailboxName> = [try mailbox("alice@example.test"), try mailbox("bob@example.test")]
        for expected in ["alice~2", "alice~3", "alice~4"] {
            try await administration.removeAccount(address("alice@example.test"))
            let name = try await administration.addAccount(address("Alice@example.test"), password: "x")
            #expect(name == (try mailbox("\(expected)@example.test")))
            #expect(names.insert(name).inserted)
        }
        for name in ["alice", "bob"] { try await administration.removeAccount(address("\(name)@example.test")) }
        try await administration.removeDomain("example.test")
        try await administration.addDomain("example.test")
        let later = try await administration.addAccount(address("bob@example.test"), password: "x")
        #expect(later == (try mailbox("bob~2@example.test")))
    }

    @Test("Somebody whose address looks like a numbered mailbox gets a mailbox of their own")
    func numberedAddress() async throws {
        let administration = try await Site.withAccounts().administration
        let odd = try await administration.addAccount(address("alice~2@example.test"), password: "x")
        #expect(odd == (try mailbox("alice~2@example.test")))
        try await administration.removeAccount(address("alice@example.test"))
        let again = try await administration.addAccount(address("alice@example.test"), password: "x")
        #expect(again == (try mailbox("alice~3@example.test")))
    }

    @Test("Accounts that are added and removed at the same time by several programs never share a mailbox")
    func concurrentNames() async throws {
        let site = try await Site.withAccounts { $0.busyTimeout = .seconds(20) }
        let programs = (0..<3).map { _ in site.administration }
        let names = await withTaskGroup(of: [MailboxName].self) { group in
            for (number, program) in programs.enumerated() {
                group.addTask {
                    var names: [MailboxName] = []
                    for _ in 0..<5 {
                        let shared = EmailAddress(local: "shared", domain: "example.test")
                        if let name = try? await program.addAccount(shared, password: "x") { names.append(name) }
                        _ = try? await program.removeAccount(shared)
                        let own = EmailAddress(local: "own\(number)", domain: "example.test")
                        if let name = try? await program.addAccount(own, password: "x") { names.append(name) }
                        _ = try? await program.removeAccount(own)
                    }
                    return names
                }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(names.count >= 15)
        #expect(Set(names).count == names.count)
    }

    @Test("An account needs its domain, a free address and a password")
    func refusals() async throws {
        let site = try await Site.withAccounts()
        let administration = site.administration
        try await administration.addAlias(address("info@example.test"), target: address("alice@example.test"))
        await #expect(throws: DirectoryAdministrationError.noSuchDomain("elsewhere.test")) {
            try await administration.addAccount(address("alice@elsewhere.test"), password: "x")
        }
        await #expect(throws: DirectoryAdministrationError.accountExists(try address("ALICE@example.test"))) {
            try await administration.addAccount(address("ALICE@example.test"), password: "x")
        }
        await #expect(throws: DirectoryAdministrationError.addressIsAlias(try address("info@example.test"))) {
            try await administration.addAccount(address("info@example.test"), password: "x")
        }
        let long = EmailAddress(local: String(repeating: "a", count: 65), domain: "example.test")
        await #expect(throws: DirectoryAdministrationError.notAnAddress(long.description)) {
            try await administration.addAccount(long, password: "x")
        }
        for password in ["", "a\0b", "a\nb", String(repeating: "p", count: 512), "\u{200B}", "a\u{202E}"] {
            let carol = try address("carol@example.test")
            let error = await #expect(throws: DirectoryAdministrationError.self) {
                try await administration.addAccount(carol, password: password)
            }
            guard case .badPassword? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        #expect(try await administration.listAccounts().count == 2)
    }

    @Test("A refused account takes no mailbox name")
    func refusedTakesNothing() async throws {
        let administration = try await Site.withAccounts().administration
        _ = try? await administration.addAccount(address("alice@example.test"), password: "x")
        try await administration.removeAccount(address("alice@example.test"))
        let name = try await administration.addAccount(address("alice@example.test"), password: "x")
        #expect(name == (try mailbox("alice~2@example.test")))
    }

    @Test("A listing shows every account once, page by page, and nothing secret")
    func pages() async throws {
        let site = try await Site.withAccounts()
        let administration = site.administration
        try await administration.addDomain("another.test")
        for number in 0..<7 {
            try await administration.addAccount(address("user\(number)@another.test"), password: "x", apop: number == 3)
        }
        var rows: [AccountRow] = []
        while true {
            let last = try rows.last.map { try address($0.address) }
            let page = try await administration.listAccounts(after: last, limit: 2)
            if page.isEmpty { break }
            rows += page
        }
        let all = (0..<7).map { "user\($0)@another.test" } + ["alice@example.test", "bob@example.test"]
        #expect(rows.map(\.address) == all)
        #expect(rows.filter(\.apop).map(\.address) == ["user3@another.test"])
        #expect(rows.allSatisfy { $0.password == "sha512" && $0.scram && !$0.disabled })
        #expect(try await administration.listAccounts(domain: "example.test").count == 2)
        await #expect(throws: DirectoryAdministrationError.noSuchDomain("none.test")) {
            try await administration.listAccounts(domain: "none.test")
        }
        let text = String(decoding: try JSONEncoder().encode(rows), as: UTF8.self)
        #expect(!text.contains("$6$"))
        #expect(try JSONDecoder().decode([AccountRow].self, from: Data(text.utf8)) == rows)
    }

    @Test("What is done to an account that is not there is an error")
    func noSuchAccount() async throws {
        let administration = try await Site.withAccounts().administration
        let carol = try address("Carol@example.test")
        let error = DirectoryAdministrationError.noSuchAccount("carol@example.test")
        await #expect(throws: error) { try await administration.removeAccount(carol) }
        await #expect(throws: error) { try await administration.setPassword(carol, password: "x", apop: false) }
        await #expect(throws: error) { try await administration.setDisabled(carol, true) }
        await #expect(throws: DirectoryAdministrationError.self) { try await administration.showAccount(carol) }
        await #expect(throws: DirectoryAdministrationError.self) {
            try await administration.setPassword(carol, password: "x")
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct AliasTests {
    @Test("An alias goes to accounts only, to each once, and one level deep")
    func rules() async throws {
        let administration = try await Site.withAccounts().administration
        let (info, alice) = (try address("info@example.test"), try address("alice@example.test"))
        try await administration.addAlias(info, target: alice)
        await #expect(throws: DirectoryAdministrationError.aliasExists(info, target: alice)) {
            try await administration.addAlias(info, target: alice)
        }
        await #expect(throws: DirectoryAdministrationError.accountExists(alice)) {
            try await administration.addAlias(alice, target: try address("bob@example.test"))
        }
        await #expect(throws: DirectoryAdministrationError.noSuchAccount("info@example.test")) {
            try await administration.addAlias(try address("help@example.test"), target: info)
        }
        await #expect(throws: DirectoryAdministrationError.noSuchDomain("none.test")) {
            try await administration.addAlias(try address("info@none.test"), target: alice)
        }
    }

    @Test("An alias has a bounded number of accounts")
    func bound() async throws {
        let administration = try await Site.withAccounts { $0.passwordScheme = .bcrypt }.administration
        let info = try address("info@example.test")
        for number in 0..<SQLiteDirectory.aliasTargetsMax {
            let target = try address("user\(number)@example.test")
            try await administration.addAccount(target, password: "x")
            try await administration.addAlias(info, target: target)
        }
        await #expect(throws: DirectoryAdministrationError.tooManyTargets(info, max: SQLiteDirectory.aliasTargetsMax)) {
            try await administration.addAlias(info, target: try address("alice@example.test"))
        }
    }

    @Test("An alias is listed with all its accounts, and loses them one by one or at once")
    func listing() async throws {
        let administration = try await Site.withAccounts().administration
        let (info, alice, bob) = (
            try address("Info@example.test"), try address("alice@example.test"), try address("bob@example.test")
        )
        for target in [bob, alice] { try await administration.addAlias(info, target: target) }
        let rows = try await administration.listAliases()
        #expect(rows.map(\.address) == ["Info@example.test"])
        #expect(rows.map(\.targets) == [["alice@example.test", "bob@example.test"]])
        #expect(try await administration.listAliases(domain: "example.test").count == 1)
        try await administration.removeAlias(info, target: bob)
        #expect(try await administration.listAliases().first?.targets == ["alice@example.test"])
        try await administration.removeAlias(info)
        #expect(try await administration.listAliases().isEmpty)
        await #expect(throws: DirectoryAdministrationError.noSuchAlias(info)) {
            try await administration.removeAlias(info)
        }
    }

    @Test("Removing an account takes it out of its aliases, and says which")
    func removedTarget() async throws {
        let site = try await Site.withAccounts()
        let administration = site.administration
        let (info, help) = (try address("info@example.test"), try address("help@example.test"))
        let (alice, bob) = (try address("alice@example.test"), try address("bob@example.test"))
        for target in [alice, bob] { try await administration.addAlias(info, target: target) }
        try await administration.addAlias(help, target: alice)
        #expect(Set(try await administration.removeAccount(alice)) == [info, help])
        #expect(try await site.frontend.resolve(info) == mailboxes(("bob@example.test", "bob@example.test")))
        #expect(try await site.frontend.resolve(help) == .unknownUser)
    }
}
