import GRDB
import Mail

extension SQLiteDirectory {
    /// - Returns: the name as it is stored, in lower case and with A-labels.
    @discardableResult
    package func addDomain(_ name: String) async throws(DirectoryAdministrationError) -> String {
        let domain = DomainName.ascii(name)
        guard DomainName.isValid(domain) else { throw .notADomain(name) }
        guard !RelayQueue.isReserved(domain) else { throw .domainReserved(domain) }
        try await handle.write { db in
            guard try !Self.domainExists(domain, in: db) else {
                throw DirectoryAdministrationError.domainExists(domain)
            }
            try db.execute(
                sql: "INSERT INTO domains (name, created) VALUES (?, ?)", arguments: [domain, currentSeconds()])
        }
        return domain
    }

    /// Refuses while accounts or aliases are in it. Mailbox names that it had stay taken.
    package func removeDomain(_ name: String) async throws(DirectoryAdministrationError) {
        let domain = DomainName.ascii(name)
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
}
