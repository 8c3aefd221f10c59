import GRDB
package import Mail

extension SQLiteDirectory {
    /// As many accounts as one alias may have: larger groups are mailing lists.
    package static let aliasTargetsMax = 100

    /// Makes mail for `address` go to one more account of this directory.
    package func addAlias(
        _ address: EmailAddress, target: EmailAddress
    ) async throws(DirectoryAdministrationError) {
        try await addAlias(address, targets: [target])
    }

    /// Makes mail for `address` go to more accounts of this directory: to all of them, or, if one cannot be, to none.
    package func addAlias(
        _ address: EmailAddress, targets: [EmailAddress]
    ) async throws(DirectoryAdministrationError) {
        let key = try Self.accountKey(address)
        try await handle.write { db in
            try Self.requireDomain(key.domain, in: db)
            guard try !Self.accountExists(key, in: db) else {
                throw DirectoryAdministrationError.accountExists(address)
            }
            for target in targets { try Self.add(target, to: key, address, in: db) }
        }
    }

    private static func add(
        _ target: EmailAddress, to key: AddressKey, _ address: EmailAddress, in db: Database
    ) throws {
        let targetKey = AddressKey(target)
        try requireAccount(targetKey, in: db)
        let known = try targets(of: key, in: db)
        guard !known.contains(targetKey) else {
            throw DirectoryAdministrationError.aliasExists(address, target: target)
        }
        guard known.count < aliasTargetsMax else {
            throw DirectoryAdministrationError.tooManyTargets(address, max: known.count)
        }
        try db.execute(
            sql: "INSERT INTO aliases (domain, key, local, target_domain, target_key) VALUES (?, ?, ?, ?, ?)",
            arguments: [key.domain, key.local, address.local, targetKey.domain, targetKey.local])
    }

    /// - Parameter target: the account that gets no more of the alias's mail; nil: none does.
    package func removeAlias(
        _ address: EmailAddress, target: EmailAddress? = nil
    ) async throws(DirectoryAdministrationError) {
        let key = AddressKey(address)
        let targetKey = target.map { AddressKey($0) }
        try await handle.write { db in
            try db.execute(
                sql: """
                    DELETE FROM aliases WHERE domain = ? AND key = ?
                    AND target_domain = ifnull(?, target_domain) AND target_key = ifnull(?, target_key)
                    """,
                arguments: [key.domain, key.local, targetKey?.domain, targetKey?.local])
            guard db.changesCount > 0 else { throw DirectoryAdministrationError.noSuchAlias(address) }
        }
    }

    /// Ordered by domain and local part.
    ///
    /// - Parameter domain: only this domain's; nil: all.
    package func listAliases(domain: String? = nil) async throws(DirectoryAdministrationError) -> [AliasRow] {
        let domain = domain.map { DomainName.ascii($0) }
        return try await handle.administrationRead { db in
            if let domain { try Self.requireDomain(domain, in: db) }
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT min(aliases.local), aliases.domain,
                    group_concat(accounts.local || '@' || accounts.domain, char(10))
                    FROM aliases JOIN accounts ON accounts.domain = target_domain AND accounts.key = target_key
                    WHERE aliases.domain = ifnull(?, aliases.domain)
                    GROUP BY aliases.domain, aliases.key ORDER BY aliases.domain, aliases.key
                    """,
                arguments: [domain])
            return try rows.map { row in
                let local = try row.decode(String.self, atIndex: 0)
                let domain = try row.decode(String.self, atIndex: 1)
                let targets = try row.decode(String.self, atIndex: 2).split(separator: "\n").map(Self.readable)
                let address = EmailAddress(local: local, domain: domain)
                return AliasRow(address: address.description, targets: targets.sorted())
            }
        }
    }

    /// An address as it can be typed again: with quotes where its local part needs them.
    private static func readable(_ address: Substring) -> String {
        let at = address.lastIndex(of: "@") ?? address.endIndex
        return EmailAddress(local: String(address[..<at]), domain: String(address[at...].dropFirst())).description
    }

    static func aliasExists(_ key: AddressKey, in db: Database) throws -> Bool {
        try !targets(of: key, in: db).isEmpty
    }

    private static func targets(of key: AddressKey, in db: Database) throws -> [AddressKey] {
        let rows = try Row.fetchAll(
            db, sql: "SELECT target_key, target_domain FROM aliases WHERE domain = ? AND key = ?",
            arguments: [key.domain, key.local])
        return try rows.map {
            AddressKey(
                local: try $0.decode(String.self, atIndex: 0), domain: try $0.decode(String.self, atIndex: 1))
        }
    }
}
