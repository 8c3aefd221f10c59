import Digests
import Directory
import Glibc
import SASL
import Testing

/// Log-ins that need no query, because the database's files prove that nothing changed. Only files on a disk of this host
/// prove it.
@Suite(
    "Log-ins known now", .timeLimit(.minutes(5)),
    .enabled(if: Site.isOnDisk, "the folder for temporary files is on no block device"))
struct AnswerNowTests {
    private func password(_ password: String, _ name: String = "alice") -> AuthenticationRequest {
        .password(user: "\(name)@example.test", password: password)
    }

    /// Asks until the answer is known now: once the last change is older than the granularity of file times.
    private func known(_ request: AuthenticationRequest, _ directory: SQLiteDirectory) async throws
        -> AuthenticationAnswer?
    {
        for _ in 0..<2000 {
            _ = try await directory.answer(request)
            if let answer = directory.answerNow(request) { return answer }
            usleep(1000)
        }
        return nil
    }

    @Test("A password that was right is known while nothing changes; nothing else is")
    func right() async throws {
        let site = try await Site.withAccounts()
        let directory = site.frontend
        #expect(directory.answerNow(password("alice-password")) == nil)
        let answer = try await known(password("alice-password"), directory)
        #expect(try await answer == directory.answer(password("alice-password")))
        for other in [
            password("bob-password"), password("alice-password", "bob"), password(""),
            password("alice-password", "nobody"), .password(user: "alice", password: "alice-password"),
            .scramCredentials(user: "alice@example.test"),
            .apop(user: "alice@example.test", challenge: "<1@x>", digest: [1]),
        ] {
            #expect(directory.answerNow(other) == nil, "\(other)")
        }
        #expect(directory.answerNow(.password(user: "ALICE@Example.Test", password: "alice-password")) == answer)
        let cached = CachedDirectory(wrapping: directory)
        #expect(cached.answerNow(password("alice-password")) == answer)
    }

    @Test("What a wrong password was answered is not known")
    func wrong() async throws {
        let directory = try await Site.withAccounts().frontend
        for _ in 0..<50 {
            #expect(try await directory.answer(password("no")) == .rejected)
            #expect(directory.answerNow(password("no")) == nil)
            usleep(1000)
        }
    }

    @Test("A changed password, and an account that is disabled or removed, are noticed at once")
    func changes() async throws {
        let site = try await Site.withAccounts()
        let (administration, directory) = (site.administration, site.frontend)
        let alice = try address("alice@example.test")
        #expect(try await known(password("alice-password"), directory) != nil)
        try await administration.setPassword(alice, password: "another")
        #expect(directory.answerNow(password("alice-password")) == nil)
        #expect(try await known(password("another"), directory) != nil)
        try await administration.setDisabled(alice, true)
        #expect(directory.answerNow(password("another")) == nil)
        try await administration.setDisabled(alice, false)
        #expect(try await known(password("another"), directory) != nil)
        try await administration.removeAccount(alice)
        #expect(directory.answerNow(password("another")) == nil)
    }

    @Test("However fast changes follow each other, no old password is let in")
    func fastChanges() async throws {
        let site = try await Site.withAccounts()
        let (administration, directory) = (site.administration, site.frontend)
        let alice = try address("alice@example.test")
        var old = "alice-password"
        for number in 0..<100 {
            _ = try await directory.answer(password(old))
            try await administration.setPassword(alice, password: "\(number)")
            #expect(directory.answerNow(password(old)) == nil)
            old = "\(number)"
        }
    }

    @Test("Another file in the database's place is noticed at once")
    func restored() async throws {
        let site = try await Site.withAccounts()
        let other = try await Site.withAccounts()
        let directory = site.frontend
        #expect(try await known(password("alice-password"), directory) != nil)
        #expect(rename(other.settings.path, site.settings.path) == 0)
        #expect(directory.answerNow(password("alice-password")) == nil)
    }

    @Test("Where no right password is remembered, nothing is known now")
    func withoutCache() async throws {
        let site = try await Site.withAccounts { $0.passwordCacheLifetime = .zero }
        let directory = site.frontend
        for _ in 0..<50 {
            _ = try await directory.answer(password("alice-password"))
            #expect(directory.answerNow(password("alice-password")) == nil)
            usleep(1000)
        }
    }
}
