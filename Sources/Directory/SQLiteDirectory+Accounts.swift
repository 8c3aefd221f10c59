import Digests
import Foundation
import GRDB
package import Mail
import SASL

/// All that is kept of one password.
private struct PasswordSecrets: Sendable {
    let hash: String
    let scram: SCRAMCredentials
    let apop: String?
}

extension SQLiteDirectory {
    /// The longest local part that RFC 5321 §4.5.3.1.1 lets a client send.
    private static let localOctetsMax = 64

    /// - Parameter apop: whether the account may use APOP and CRAM-MD5. Their secret is the password itself, readable in
    ///   the database: RFC 1939 §7 and RFC 2195 §2 leave no other way.
    /// - Returns: the new mailbox's name, which nobody had before.
    @discardableResult
    package func addAccount(
        _ address: EmailAddress, password: String, apop: Bool = false
    ) async throws(DirectoryAdministrationError) -> MailboxName {
        let key = try Self.accountKey(address)
        let secrets = try await passwordSecrets(password, apop: apop)
        return try await handle.write { db in
            try Self.requireDomain(key.domain, in: db)
            guard try !Self.accountExists(key, in: db) else {
                throw DirectoryAdministrationError.accountExists(address)
            }
            guard try !Self.aliasExists(key, in: db) else { throw DirectoryAdministrationError.addressIsAlias(address) }
            let mailbox = try Self.takeMailboxName(key, address, in: db)
            try db.execute(
                sql: """
                    INSERT INTO accounts (domain, key, local, mailbox, password_hash, created) VALUES (?, ?, ?, ?, ?, ?)
                    """,
                arguments: [key.domain, key.local, address.local, mailbox.local, secrets.hash, currentSeconds()])
            try Self.store(secrets, for: key, in: db)
            return mailbox
        }
    }

    /// - Parameter apop: whether the account may use APOP and CRAM-MD5 from now on; nil leaves that as it is.
    package func setPassword(
        _ address: EmailAddress, password: String, apop: Bool? = nil
    ) async throws(DirectoryAdministrationError) {
        let key = AddressKey(address)
        let isAPOP = if let apop { apop } else { try await showAccount(address).apop }
        let secrets = try await passwordSecrets(password, apop: isAPOP)
        try await handle.write { db in
            try Self.requireAccount(key, in: db)
            try Self.store(secrets, for: key, in: db)
        }
    }

    /// A disabled account cannot log in; its mail is still taken.
    package func setDisabled(
        _ address: EmailAddress, _ isDisabled: Bool
    ) async throws(DirectoryAdministrationError) {
        let key = AddressKey(address)
        try await handle.write { db in
            try Self.requireAccount(key, in: db)
            try db.execute(
                sql: "UPDATE accounts SET disabled = ? WHERE domain = ? AND key = ?",
                arguments: [isDisabled, key.domain, key.local])
        }
    }

    /// The mailbox's name stays taken, and its messages stay where they are: a new account at this address gets another
    /// mailbox.
    ///
    /// - Returns: the aliases that went to the account and do not any more.
    @discardableResult
    package func removeAccount(_ address: EmailAddress) async throws(DirectoryAdministrationError) -> [EmailAddress] {
        let key = AddressKey(address)
        return try await handle.write { db in
            try Self.requireAccount(key, in: db)
            let aliases = try Row.fetchAll(
                db, sql: "SELECT local, domain FROM aliases WHERE target_domain = ? AND target_key = ?",
                arguments: [key.domain, key.local])
            try db.execute(
                sql: "DELETE FROM aliases WHERE target_domain = ? AND target_key = ?",
                arguments: [key.domain, key.local])
            try db.execute(
                sql: "DELETE FROM accounts WHERE domain = ? AND key = ?", arguments: [key.domain, key.local])
            return try aliases.map {
                EmailAddress(
                    local: try $0.decode(String.self, atIndex: 0), domain: try $0.decode(String.self, atIndex: 1))
            }
        }
    }

    package func showAccount(_ address: EmailAddress) async throws(DirectoryAdministrationError) -> AccountRow {
        let key = AddressKey(address)
        let row = try await handle.administrationRead { db in
            try Row.fetchOne(
                db, sql: "SELECT \(AccountRow.columns) FROM accounts WHERE domain = ? AND key = ?",
                arguments: [key.domain, key.local]
            ).map { try AccountRow($0) }
        }
        guard let row else { throw .noSuchAccount(address.description) }
        return row
    }

    /// Ordered by domain and local part.
    ///
    /// - Parameters:
    ///   - domain: only this domain's; nil: all.
    ///   - after: the last account of the page before; nil: from the beginning.
    package func listAccounts(
        domain: String? = nil, after: EmailAddress? = nil, limit: Int = 1000
    ) async throws(DirectoryAdministrationError) -> [AccountRow] {
        let domain = domain.map { AddressKey.folded($0.lowercased()) }
        let last = AddressKey(after ?? EmailAddress(local: "", domain: ""))
        return try await handle.administrationRead { db in
            if let domain { try Self.requireDomain(domain, in: db) }
            return try Row.fetchAll(
                db,
                sql: """
                    SELECT \(AccountRow.columns) FROM accounts
                    WHERE (domain, key) > (?, ?) AND domain = ifnull(?, domain) ORDER BY domain, key LIMIT ?
                    """,
                arguments: [last.domain, last.local, domain, max(0, limit)]
            ).map { try AccountRow($0) }
        }
    }

    static func accountExists(_ key: AddressKey, in db: Database) throws -> Bool {
        try Bool.fetchOne(
            db, sql: "SELECT EXISTS (SELECT 1 FROM accounts WHERE domain = ? AND key = ?)",
            arguments: [key.domain, key.local]) ?? false
    }

    static func requireAccount(_ key: AddressKey, in db: Database) throws {
        guard try accountExists(key, in: db) else { throw DirectoryAdministrationError.noSuchAccount(key.text) }
    }

    static func accountKey(_ address: EmailAddress) throws(DirectoryAdministrationError) -> AddressKey {
        guard (1...localOctetsMax).contains(address.local.utf8.count),
            !address.local.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else { throw .notAnAddress(address.description) }
        return AddressKey(address)
    }

    /// `alice`, or `alice~2` if somebody ever had `alice`, and so on.
    private static func takeMailboxName(
        _ key: AddressKey, _ address: EmailAddress, in db: Database
    ) throws -> MailboxName {
        var number = 1
        while true {
            let local = number == 1 ? key.local : "\(key.local)~\(number)"
            guard let name = MailboxName(local: local, domain: key.domain) else {
                throw DirectoryAdministrationError.notAnAddress(address.description)
            }
            try db.execute(
                sql: "INSERT OR IGNORE INTO mailbox_names (domain, name, created) VALUES (?, ?, ?)",
                arguments: [name.domain, name.local, currentSeconds()])
            if db.changesCount == 1 { return name }
            number += 1
        }
    }

    private func passwordSecrets(
        _ password: String, apop: Bool
    ) async throws(DirectoryAdministrationError) -> PasswordSecrets {
        let prepared = try PreparedPassword.checked(password)
        let (scheme, iterations) = (settings.passwordScheme, max(4096, settings.scramIterations))
        do throws(DirectoryError) {
            let (hash, scram) = try await passwords.run {
                let salt = SecureRandom.bytes(SCRAMCredentials.saltOctets)
                let hash = PasswordHash.make(prepared, setting: scheme.setting())
                return (hash, SCRAMCredentials(password: prepared, salt: salt, iterations: iterations))
            }
            guard let hash else { throw DirectoryError.unavailable("libcrypt made no hash") }
            return PasswordSecrets(hash: hash, scram: scram, apop: apop ? prepared : nil)
        } catch {
            throw .unavailable(error)
        }
    }

    private static func store(_ secrets: PasswordSecrets, for key: AddressKey, in db: Database) throws {
        try db.execute(
            sql: """
                UPDATE accounts SET password_hash = ?, scram_salt = ?, scram_iterations = ?, scram_stored_key = ?,
                scram_server_key = ?, apop_secret = ? WHERE domain = ? AND key = ?
                """,
            arguments: [
                secrets.hash, Data(secrets.scram.salt), secrets.scram.iterations, Data(secrets.scram.storedKey),
                Data(secrets.scram.serverKey), secrets.apop, key.domain, key.local,
            ])
    }
}
