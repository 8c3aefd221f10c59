import Digests
import Foundation
import GRDB
import Mail
package import SASL

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

    /// A password that was right a moment ago is right still if the database provably says of the account what it said then.
    package func answerNow(_ request: AuthenticationRequest) -> AuthenticationAnswer? {
        guard case .password(let user, let password) = request,
            let secrets = known.secrets(of: key(of: user)),
            rightPasswords.holds(
                rightPasswords.key(
                    user: secrets.cacheName, password: PreparedPassword.prepare(password), hash: secrets.passwordHash))
        else { return nil }
        return .user(secrets.user)
    }

    private func checkDigest(
        _ digest: [UInt8], _ secrets: AccountSecrets?, of make: (String) -> [UInt8]?
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
        _ password: String, user: String, _ secrets: AccountSecrets?
    ) async throws(DirectoryError) -> AuthenticationAnswer {
        let prepared = PreparedPassword.prepare(password)
        let hash = secrets?.passwordHash ?? dummySetting
        let name = secrets.map(\.cacheName) ?? user
        let key = rightPasswords.key(user: name, password: prepared, hash: hash)
        if let secrets, rightPasswords.holds(key) { return .user(secrets.user) }
        let isRight = try await passwords.run { PasswordHash.isRight(prepared, hash: hash) }
        guard isRight, let secrets else { return .rejected }
        rightPasswords.insert(key)
        return .user(secrets.user)
    }

    private func scramCredentials(
        user: String, _ secrets: AccountSecrets?
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

    /// A name that is no address has a key too, and is looked up in vain: it takes the same time.
    private func key(of login: String) -> AddressKey {
        let address = EmailAddress(login: login, defaultDomain: settings.defaultDomain)
        return AddressKey(address ?? EmailAddress(local: "", domain: ""))
    }

    /// Nil for unknown and for disabled accounts.
    private func secrets(of login: String) async throws(DirectoryError) -> AccountSecrets? {
        let key = key(of: login)
        let stamps = known.stamps()
        let secrets = try await handle.read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT local, domain, mailbox, password_hash, scram_salt, scram_iterations, scram_stored_key,
                    scram_server_key, apop_secret FROM accounts WHERE domain = ? AND key = ? AND NOT disabled
                    """)
            return try Row.fetchOne(statement, arguments: [key.domain, key.local]).map { try AccountSecrets($0) }
        }
        if let secrets, let stamps { known.note(secrets, of: key, asOf: stamps) }
        return secrets
    }
}
