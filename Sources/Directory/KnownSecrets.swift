import Synchronization

/// What the database said of accounts, as long as its files prove that it still says so: who logs in every few minutes
/// costs no query, and a changed password, or an account that was disabled, takes effect at once.
final class KnownSecrets: Sendable {
    private struct State {
        var stamps: DatabaseStamps?
        var entries: RecentEntries<AddressKey, AccountSecrets>
    }

    private let path: String
    private let entriesMax: Int
    private let state: Mutex<State>

    /// - Parameter path: the database's file.
    init(path: String, entriesMax: Int) {
        self.path = path
        self.entriesMax = entriesMax
        state = Mutex(State(entries: RecentEntries(entriesMax: entriesMax)))
    }

    /// To be taken before the database is asked for what is then noted.
    func stamps() -> DatabaseStamps? { entriesMax > 0 ? DatabaseStamps(path: path) : nil }

    func note(_ secrets: AccountSecrets, of key: AddressKey, asOf stamps: DatabaseStamps) {
        state.withLock { state in
            if state.stamps != stamps {
                state.entries.removeAll()
                state.stamps = stamps
            }
            state.entries.insert(secrets, for: key)
        }
    }

    func secrets(of key: AddressKey) -> AccountSecrets? {
        guard let stamps = stamps() else { return nil }
        return state.withLock { $0.stamps == stamps ? $0.entries.value(for: key) : nil }
    }
}
