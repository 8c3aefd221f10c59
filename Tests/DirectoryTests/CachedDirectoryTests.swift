import Directory
import Mail
import SASL
import Synchronization
import Testing

/// A directory that answers from a table, counts, and can be out or slow.
private final class FakeDirectory: AccountDirectory {
    struct State {
        var queries = 0
        var isOut = false
        var gate: CheckedContinuation<Void, Never>?
    }

    let state = Mutex(State())
    let isGated: Bool

    init(isGated: Bool = false) { self.isGated = isGated }

    var queries: Int { state.withLock { $0.queries } }

    func resolve(_ address: EmailAddress) async throws(DirectoryError) -> Resolution {
        let isOut = state.withLock { state in
            state.queries += 1
            return state.isOut
        }
        if isGated { await withCheckedContinuation { gate in state.withLock { $0.gate = gate } } }
        if isOut { throw .unavailable("out") }
        guard let mailbox = MailboxName(local: address.local, domain: address.domain), address.local != "nobody" else {
            return .unknownUser
        }
        return .mailboxes([Destination(mailbox: mailbox, address: address)])
    }

    func answer(_ request: AuthenticationRequest) async throws(DirectoryError) -> AuthenticationAnswer { .rejected }

    func answerNow(_ request: AuthenticationRequest) -> AuthenticationAnswer? { nil }
    func accountKey(of login: String) -> String { login.lowercased() }

    /// Waits until a query stands at the gate, and lets it through.
    func openGate() async {
        while true {
            if let gate = state.withLock({ $0.gate.take() }) { return gate.resume() }
            await Task.yield()
        }
    }
}

private final class Clock: Sendable {
    private let instant = Mutex(ContinuousClock.now)
    var now: ContinuousClock.Instant { instant.withLock { $0 } }
    func advance(_ duration: Duration) { instant.withLock { $0 += duration } }
}

@Suite(.timeLimit(.minutes(5))) struct CachedDirectoryTests {
    private let fake = FakeDirectory()
    private let clock = Clock()

    private func cache(_ fake: FakeDirectory, entriesMax: Int = 100) -> CachedDirectory {
        CachedDirectory(
            wrapping: fake, entriesMax: entriesMax, lifetime: .seconds(60), negativeLifetime: .seconds(5),
            now: { [clock] in clock.now })
    }

    @Test("An answer is asked for once in its lifetime, and a shorter one for an unknown user")
    func lifetimes() async throws {
        let cache = cache(fake)
        let (alice, nobody) = (try address("alice@example.test"), try address("nobody@example.test"))
        #expect(cache.cached(alice) == nil)
        for _ in 0..<3 {
            _ = try await cache.resolve(alice)
            #expect(try await cache.resolve(nobody) == .unknownUser)
        }
        #expect(fake.queries == 2)
        #expect(cache.cached(alice) == (try mailboxes(("alice@example.test", "alice@example.test"))))
        clock.advance(.seconds(5))
        #expect(cache.cached(nobody) == nil)
        #expect(cache.cached(alice) != nil)
        clock.advance(.seconds(55))
        #expect(cache.cached(alice) == nil)
        _ = try await cache.resolve(alice)
        #expect(fake.queries == 3)
    }

    @Test("An outage is told, not remembered, and nothing is served beyond its lifetime")
    func outage() async throws {
        let cache = cache(fake)
        let alice = try address("alice@example.test")
        _ = try await cache.resolve(alice)
        fake.state.withLock { $0.isOut = true }
        #expect(try await cache.resolve(alice) != .unknownUser)
        clock.advance(.seconds(60))
        await #expect(throws: DirectoryError.unavailable("out")) { try await cache.resolve(alice) }
        fake.state.withLock { $0.isOut = false }
        #expect(try await cache.resolve(alice) != .unknownUser)
    }

    @Test("The least recently used answers make room")
    func bound() async throws {
        let cache = cache(fake, entriesMax: 10)
        let alice = try address("alice@example.test")
        for number in 0..<100 {
            _ = try await cache.resolve(alice)
            _ = try await cache.resolve(address("user\(number)@example.test"))
            #expect(cache.entryCount <= 10)
        }
        #expect(fake.queries == 101)
        #expect(cache.cached(try address("user99@example.test")) != nil)
        #expect(cache.cached(try address("user0@example.test")) == nil)
        cache.removeAll()
        #expect(cache.entryCount == 0)
        #expect(cache.cached(alice) == nil)
    }

    @Test("Those who ask for one address at the same time share one query, and one who gives up takes nothing away")
    func coalescing() async throws {
        let fake = FakeDirectory(isGated: true)
        let cache = cache(fake)
        let alice = try address("alice@example.test")
        let tasks = (0..<50).map { _ in Task { try await cache.resolve(alice) } }
        tasks[0].cancel()
        await fake.openGate()
        let expected = try mailboxes(("alice@example.test", "alice@example.test"))
        for task in tasks[1...] { #expect(try await task.value == expected) }
        #expect(fake.queries == 1)
    }

    @Test("Many at once, on few addresses, with few places: everybody gets their own answer")
    func concurrency() async throws {
        let cache = cache(fake, entriesMax: 4)
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<16 {
                group.addTask {
                    for round in 0..<200 {
                        let address = EmailAddress(local: "user\((worker + round) % 9)", domain: "example.test")
                        guard case .mailboxes(let found)? = try? await cache.resolve(address) else {
                            Issue.record("no answer for \(address)")
                            continue
                        }
                        #expect(found.map(\.address) == [address])
                    }
                }
            }
        }
        #expect(cache.entryCount <= 4)
    }
}
