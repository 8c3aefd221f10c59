package import Mail
package import SASL
import Synchronization

/// A directory that remembers the answers to look-ups for a while, so that most recipients cost no query.
///
/// Log-ins are not remembered here. Nor is an answer served beyond its lifetime while the directory is out: the sender
/// tries again after a temporary failure and nothing is lost, while an old answer would accept mail for an account that
/// is gone.
package final class CachedDirectory: AccountDirectory {
    private struct Entry: Sendable {
        let resolution: Resolution
        let expires: ContinuousClock.Instant
    }

    private typealias Query = Task<Result<Resolution, DirectoryError>, Never>

    private enum Found {
        case answer(Resolution)
        case underWay(Query)
    }

    private struct State {
        var entries: RecentEntries<EmailAddress, Entry>
        var underWay: [EmailAddress: Query] = [:]
    }

    private let directory: any AccountDirectory
    private let lifetime: Duration
    private let negativeLifetime: Duration
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state: Mutex<State>

    /// - Parameters:
    ///   - lifetime: how long an address's mailboxes are believed.
    ///   - negativeLifetime: how long an address is believed not to be there; never longer than `lifetime`, because an
    ///     operator who adds an account tries it at once.
    ///   - now: the clock.
    package init(
        wrapping directory: any AccountDirectory, entriesMax: Int = 100_000, lifetime: Duration = .seconds(60),
        negativeLifetime: Duration = .seconds(5),
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.directory = directory
        self.lifetime = lifetime
        self.negativeLifetime = min(negativeLifetime, lifetime)
        self.now = now
        state = Mutex(State(entries: RecentEntries(entriesMax: entriesMax)))
    }

    package var entryCount: Int { state.withLock { $0.entries.count } }

    /// The answer, if it is known now; never waits.
    package func cached(_ address: EmailAddress) -> Resolution? {
        let now = now()
        return state.withLock { Self.fresh($0.entries.value(for: address), now) }
    }

    /// Those who ask for one address at the same time share one query.
    package func resolve(_ address: EmailAddress) async throws(DirectoryError) -> Resolution {
        let now = now()
        // In one look, so that nobody misses both the answer and the query that has just brought it.
        let found = state.withLock { state -> Found in
            if let known = Self.fresh(state.entries.value(for: address), now) { return .answer(known) }
            let query = state.underWay[address] ?? Task { await self.query(address) }
            state.underWay[address] = query
            return .underWay(query)
        }
        switch found {
        case .answer(let resolution): return resolution
        case .underWay(let query): return try await query.value.get()
        }
    }

    package func answer(_ request: AuthenticationRequest) async throws(DirectoryError) -> AuthenticationAnswer {
        try await directory.answer(request)
    }

    package func answerNow(_ request: AuthenticationRequest) -> AuthenticationAnswer? { directory.answerNow(request) }

    package func accountKey(of login: String) -> String { directory.accountKey(of: login) }

    /// Forgets everything, as after a reload of the configuration.
    package func removeAll() {
        state.withLock { $0.entries.removeAll() }
    }

    /// Runs apart from those who asked, so that one who is cancelled takes nothing from the others.
    private func query(_ address: EmailAddress) async -> Result<Resolution, DirectoryError> {
        let result: Result<Resolution, DirectoryError>
        do throws(DirectoryError) {
            result = .success(try await directory.resolve(address))
        } catch {
            result = .failure(error)
        }
        let now = now()
        state.withLock { state in
            state.underWay[address] = nil
            guard case .success(let resolution) = result else { return }
            let entry = Entry(resolution: resolution, expires: now + lifetime(of: resolution))
            state.entries.insert(entry, for: address)
        }
        return result
    }

    private func lifetime(of resolution: Resolution) -> Duration {
        if case .mailboxes = resolution { lifetime } else { negativeLifetime }
    }

    private static func fresh(_ entry: Entry?, _ now: ContinuousClock.Instant) -> Resolution? {
        guard let entry, entry.expires > now else { return nil }
        return entry.resolution
    }
}
