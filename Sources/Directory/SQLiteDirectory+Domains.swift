import GRDB

extension SQLiteDirectory {
    package func addDomain(_ name: String) async throws(DirectoryAdministrationError) {
        let domain = AddressKey.folded(name.lowercased())
        guard Self.isDomainName(domain) else { throw .notADomain(name) }
        try await handle.write { db in
            guard try !Self.domainExists(domain, in: db) else {
                throw DirectoryAdministrationError.domainExists(domain)
            }
            try db.execute(
                sql: "INSERT INTO domains (name, created) VALUES (?, ?)", arguments: [domain, currentSeconds()])
        }
    }

    /// Refuses while accounts or aliases are in it. Mailbox names that it had stay taken.
    package func removeDomain(_ name: String) async throws(DirectoryAdministrationError) {
        let domain = AddressKey.folded(name.lowercased())
        try await handle.write { db in
            try Self.requireDomain(domain, in: db)
            let row = try Self.domainRows("WHERE name = ?", [domain], in: db).first
            guard let row, row.accounts == 0, row.aliases == 0 else {
                throw DirectoryAdministrationError.domainInUse(
                    domain, accounts: row?.accounts ?? 0, aliases: row?.aliases ?? 0)
            }
            try db.execute(sql: "DELETE FROM domains WHERE name = ?", arguments: [domain])
        }
    }

    package func listDomains() async throws(DirectoryAdministrationError) -> [DomainRow] {
        try await handle.administrationRead { db in try Self.domainRows("", [], in: db) }
    }

    static func requireDomain(_ domain: String, in db: Database) throws {
        guard try domainExists(domain, in: db) else { throw DirectoryAdministrationError.noSuchDomain(domain) }
    }

    private static func domainRows(
        _ condition: String, _ arguments: StatementArguments, in db: Database
    ) throws -> [DomainRow] {
        let sql = """
            SELECT name, created, (SELECT count(*) FROM accounts WHERE domain = name),
            (SELECT count(DISTINCT key) FROM aliases WHERE domain = name) FROM domains \(condition) ORDER BY name
            """
        return try Row.fetchAll(db, sql: sql, arguments: arguments).map { row in
            DomainRow(
                name: try row.decode(String.self, atIndex: 0), accounts: try row.decode(Int.self, atIndex: 2),
                aliases: try row.decode(Int.self, atIndex: 3),
                created: timeText(try row.decode(Int64.self, atIndex: 1)))
        }
    }

    /// Letters of any script, digits, hyphens and underscores, in labels of 1 to 63 octets (RFC 1035 §2.3.4,
    /// RFC 6531 §3.3).
    private static func isDomainName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy(isDomainByte)
        }
    }

    private static func isDomainByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "_"), 0x80...0xFF:
            true
        default: false
        }
    }
}
