import Mail

/// How a directory in SQLite is opened and asked.
package struct DirectorySettings: Sendable {
    /// The database file. Frontends too need to write to its folder: SQLite keeps its shared memory beside the file.
    package var path: String
    /// The domain of those who log in as `alice` instead of `alice@example.test`; nil refuses them.
    package var defaultDomain: String?
    /// What stands between an account's local part and a tag (`alice+lists`, RFC 5233); nil: nothing does.
    package var subaddressDelimiter: Character?
    /// How new passwords are kept; old ones stay valid as they are.
    package var passwordScheme: PasswordScheme
    package var scramIterations: Int
    /// How many passwords are checked at once, and how many log-ins may wait for that.
    package var passwordThreads: Int
    package var passwordQueueMax: Int
    /// How long a right password is remembered, so that a client that polls does not cost a key derivation each time;
    /// zero: not at all.
    package var passwordCacheLifetime: Duration
    package var passwordCacheEntriesMax: Int
    package var readersMax: Int
    /// How long to wait for somebody else's lock.
    package var busyTimeout: Duration
    /// How long after a failed attempt to open the database the next one is made, and how often it is looked whether
    /// the file at `path` is still the one that is open.
    package var checkInterval: Duration

    package init(path: String) {
        self.path = path
        defaultDomain = nil
        subaddressDelimiter = "+"
        passwordScheme = .yescrypt
        scramIterations = 4096
        passwordThreads = 2
        passwordQueueMax = 64
        passwordCacheLifetime = .seconds(60)
        passwordCacheEntriesMax = 10_000
        readersMax = 4
        busyTimeout = .seconds(2)
        checkInterval = .seconds(1)
    }
}

extension EmailAddress {
    /// Takes the user name of a log-in: an address, or only its local part if there is a default domain.
    init?(login: String, defaultDomain: String?) {
        if login.utf8.contains(UInt8(ascii: "@")) {
            self.init(login)
        } else if let defaultDomain {
            self.init("\(login)@\(defaultDomain)")
        } else {
            return nil
        }
    }
}
