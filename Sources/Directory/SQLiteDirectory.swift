import GRDB
package import Mail

/// The directory that needs no server: accounts, aliases and domains in one SQLite file (WAL), so that frontends read
/// while the administration writes.
///
/// It is opened when it is first asked, and a database that is missing, locked or broken is an answer
/// (`.unavailable`), not a failure to start.
///
/// A disabled account cannot log in; its mail is still taken.
package final class SQLiteDirectory: AccountDirectory {
    package enum Access: Sendable {
        /// For those that serve: reads only.
        case frontend
        /// For the command line: makes the database and brings its tables up to date.
        case administration
    }

    let settings: DirectorySettings
    let handle: DatabaseHandle
    let passwords: PasswordPool
    let rightPasswords: PasswordCache
    let known: KnownSecrets
    /// What an unknown user's password is hashed with, so that it costs what a known one's does.
    let dummySetting: String

    package init(settings: DirectorySettings, access: Access) {
        self.settings = settings
        handle = DatabaseHandle(settings: settings, access: access == .frontend ? .frontend : .administration)
        passwords = PasswordPool(threads: settings.passwordThreads, queueMax: settings.passwordQueueMax)
        rightPasswords = PasswordCache(
            lifetime: settings.passwordCacheLifetime, entriesMax: settings.passwordCacheEntriesMax)
        known = KnownSecrets(path: settings.path, entriesMax: settings.passwordCacheEntriesMax)
        dummySetting = settings.passwordScheme.setting()
    }

    /// An account first, then an alias, then the same without the tag (`alice+lists`).
    package func resolve(_ address: EmailAddress) async throws(DirectoryError) -> Resolution {
        let key = AddressKey(address)
        let untagged = key.withoutTag(delimiter: settings.subaddressDelimiter)
        return try await handle.read { db in
            let destinations = try Self.destinations(key, in: db)
            if !destinations.isEmpty { return .mailboxes(destinations) }
            if let untagged {
                let destinations = try Self.destinations(untagged, in: db)
                if !destinations.isEmpty { return .mailboxes(destinations) }
            }
            return try Self.domainExists(key.domain, in: db) ? .unknownUser : .foreignDomain
        }
    }

    /// Whether the database can be read now; the error says why not.
    package func check() async throws(DirectoryError) {
        _ = try await handle.read { try Self.domainExists("", in: $0) }
    }

    private static func destinations(_ key: AddressKey, in db: Database) throws -> [Destination] {
        let account = try db.cachedStatement(
            sql: "SELECT local, domain, mailbox FROM accounts WHERE domain = ? AND key = ?")
        let own = try Row.fetchAll(account, arguments: [key.domain, key.local])
        if !own.isEmpty { return try own.map(destination) }
        let alias = try db.cachedStatement(
            sql: """
                SELECT accounts.local, accounts.domain, accounts.mailbox FROM aliases
                JOIN accounts ON accounts.domain = target_domain AND accounts.key = target_key
                WHERE aliases.domain = ? AND aliases.key = ?
                """)
        return try Row.fetchAll(alias, arguments: [key.domain, key.local]).map(destination)
    }

    static func domainExists(_ domain: String, in db: Database) throws -> Bool {
        let statement = try db.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM domains WHERE name = ?)")
        return try Bool.fetchOne(statement, arguments: [domain]) ?? false
    }

    /// Reads the columns `local, domain, mailbox`.
    static func destination(_ row: Row) throws -> Destination {
        let domain = try row.decode(String.self, atIndex: 1)
        let mailbox = try row.decode(String.self, atIndex: 2)
        guard let name = MailboxName(local: mailbox, domain: domain) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "not a mailbox name: \(mailbox)@\(domain)")
        }
        let address = EmailAddress(local: try row.decode(String.self, atIndex: 0), domain: domain)
        return Destination(mailbox: name, address: address)
    }
}
