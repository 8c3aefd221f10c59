import Digests
import Foundation
import GRDB
import Mail
package import SASL

/// What is needed to check a log-in.
private struct Secrets: Sendable {
    let user: AuthenticatedUser
    let passwordHash: String
    let scram: SCRAMCredentials?
    let apop: String?

    init(_ row: Row) throws {
        let destination = try SQLiteDirectory.destination(row)
        user = AuthenticatedUser(address: destination.address, mailbox: destination.mailbox)
        passwordHash = try row.decode(String.self, atIndex: 3)
        scram = try Self.scram(row)
        apop = try row.decode(String?.self, atIndex: 8)
    }

    private static func scram(_ row: Row) throws -> SCRAMCredentials? {
        guard let salt = try row.decode(Data?.self, atIndex: 4), let iterations = try row.decode(Int?.self, atIndex: 5),
            let storedKey = try row.decode(Data?.self, atIndex: 6),
            let serverKey = try row.decode(Data?.self, atIndex: 7)
        else { return nil }
        return SCRAMCredentials(
            salt: Array(salt), iterations: iterations, storedKey: Array(storedKey), serverKey: Array(serverKey))
    }
}

extension SQLiteDirectory {
    package func answer(_ request: AuthenticationRequest) async throws(DirectoryError) -> AuthenticationAnswer {
        let secrets = try await secrets(of: request.user)
        switch request {
        case .password(let user, let password):
            return try await checkPassword(password, user: user, secrets)
        case .scramCredentials(let user):
            return try await scramCredentials(user: user, secrets)
        case .apop(_, let challenge, let digest):
            return checkDigest(digest, secrets) { APOP.digest(challenge: challenge, secret: $0) }
        case .cramMD5(_, let challenge, let digest):
            return checkDigest(digest, secrets) { CRAMMD5.digest(challenge: challenge, secret: $0) }
        }
    }

    private func checkDigest(
        _ digest: [UInt8], _ secrets: Secrets?, of make: (String) -> [UInt8]?
    ) -> AuthenticationAnswer {
        // An account without a secret costs the same: the digest of something that no client sends.
        let secret = secrets?.apop ?? "\0"
        guard let expected = make(secret), constantTimeEqual(expected, digest), let secrets, secrets.apop != nil
        else { return .rejected }
        return .user(secrets.user)
    }

    package func accountKey(of login: String) -> String {
        let address = EmailAddress(login: login, defaultDomain: settings.defaultDomain)
        return address.map { AddressKey($0).text } ?? AddressKey.folded(login)
    }

    private func checkPassword(
        _ password: String, user: String, _ secrets: Secrets?
    ) async throws(DirectoryError) -> AuthenticationAnswer {
        let prepared = PreparedPassword.prepare(password)
        let hash = secrets?.passwordHash ?? dummySetting
        let name = secrets.map { $0.user.mailbox.description } ?? user
        let key = rightPasswords.key(user: name, password: prepared, hash: hash)
        if let secrets, rightPasswords.holds(key) { return .user(secrets.user) }
        let isRight = try await passwords.run { PasswordHash.isRight(prepared, hash: hash) }
        guard isRight, let secrets else { return .rejected }
        rightPasswords.insert(key)
        return .user(secrets.user)
    }

    private func scramCredentials(
        user: String, _ secrets: Secrets?
    ) async throws(DirectoryError) -> AuthenticationAnswer {
        // Read for every user, known or not: the answers take the same time.
        let secret = try await handle.read { db in
            try Data.fetchOne(db, sql: "SELECT value FROM settings WHERE name = 'secret'") ?? Data()
        }
        let invented = SCRAMCredentials.invented(
            user: accountKey(of: user), secret: Array(secret), iterations: settings.scramIterations)
        guard let secrets, let credentials = secrets.scram else { return .credentials(invented, nil) }
        return .credentials(credentials, secrets.user)
    }

    /// Nil for unknown and for disabled accounts.
    private func secrets(of login: String) async throws(DirectoryError) -> Secrets? {
        let address = EmailAddress(login: login, defaultDomain: settings.defaultDomain)
        // A name that is no address is looked up as well, in vain: it takes the same time.
        let key = AddressKey(address ?? EmailAddress(local: "", domain: ""))
        return try await handle.read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT local, domain, mailbox, password_hash, scram_salt, scram_iterations, scram_stored_key,
                    scram_server_key, apop_secret FROM accounts WHERE domain = ? AND key = ? AND NOT disabled
                    """)
            return try Row.fetchOne(statement, arguments: [key.domain, key.local]).map { try Secrets($0) }
        }
    }
}
