import Digests
import GRDB
package import Mail

extension SQLiteDirectory {
    /// Adds an account whose password is known as a hash only.
    ///
    /// - Returns: the new mailbox's name, which nobody had before.
    @discardableResult
    package func addAccount(
        _ address: EmailAddress, hash: ForeignHash
    ) async throws(DirectoryAdministrationError) -> MailboxName {
        // Until the hash is there the account has a password that nobody knows.
        let mailbox = try await addAccount(address, password: Hex.encode(SecureRandom.bytes(32)))
        try await setHash(address, hash)
        return mailbox
    }

    /// Gives an account a password that is known as a hash only. SCRAM, APOP and CRAM-MD5 need the password itself: the account
    /// can log in by PLAIN, LOGIN, USER and PASS until it gets a password here.
    package func setHash(
        _ address: EmailAddress, _ hash: ForeignHash
    ) async throws(DirectoryAdministrationError) {
        let key = AddressKey(address)
        try await handle.write { db in
            try Self.requireAccount(key, in: db)
            try db.execute(
                sql: """
                    UPDATE accounts SET password_hash = ?, scram_salt = NULL, scram_iterations = NULL,
                    scram_stored_key = NULL, scram_server_key = NULL, apop_secret = NULL WHERE domain = ? AND key = ?
                    """,
                arguments: [hash.text, key.domain, key.local])
        }
    }
}
