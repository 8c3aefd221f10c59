import Digests
import GRDB

/// The tables, and how each version of them becomes the next. A migration that was released never changes.
enum DirectorySchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 accounts") { try createTables($0) }
        return migrator
    }

    /// `mailbox_names` only grows: a name in it is never given to somebody else, so it does not refer to the domain,
    /// which may go and come back. `key` is a folded local part, `local` is what the operator typed.
    private static func createTables(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE settings (
                    name TEXT PRIMARY KEY,
                    value BLOB NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE domains (
                    name TEXT PRIMARY KEY,
                    created INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE mailbox_names (
                    domain TEXT NOT NULL,
                    name TEXT NOT NULL,
                    created INTEGER NOT NULL,
                    PRIMARY KEY (domain, name)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE accounts (
                    domain TEXT NOT NULL REFERENCES domains (name),
                    key TEXT NOT NULL,
                    local TEXT NOT NULL,
                    mailbox TEXT NOT NULL,
                    password_hash TEXT NOT NULL,
                    scram_salt BLOB,
                    scram_iterations INTEGER,
                    scram_stored_key BLOB,
                    scram_server_key BLOB,
                    apop_secret TEXT,
                    created INTEGER NOT NULL,
                    disabled INTEGER NOT NULL DEFAULT 0,
                    PRIMARY KEY (domain, key),
                    UNIQUE (domain, mailbox),
                    FOREIGN KEY (domain, mailbox) REFERENCES mailbox_names (domain, name)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE aliases (
                    domain TEXT NOT NULL REFERENCES domains (name),
                    key TEXT NOT NULL,
                    local TEXT NOT NULL,
                    target_domain TEXT NOT NULL,
                    target_key TEXT NOT NULL,
                    PRIMARY KEY (domain, key, target_domain, target_key),
                    FOREIGN KEY (target_domain, target_key) REFERENCES accounts (domain, key)
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX aliases_by_target ON aliases (target_domain, target_key);
                """)
        // Every frontend invents the same SCRAM salt for a user that does not exist.
        let secret = Hex.encode(SecureRandom.bytes(32))
        try db.execute(sql: "INSERT INTO settings (name, value) VALUES ('secret', x'\(secret)')")
    }
}
