import Foundation
import GRDB

/// A domain as it is listed.
package struct DomainRow: Codable, Hashable, Sendable {
    package let name: String
    package let accounts: Int
    package let aliases: Int
    /// In UTC, as ISO 8601 writes it.
    package let created: String
}

/// An account as it is listed: nothing in it is secret.
package struct AccountRow: Codable, Hashable, Sendable {
    package let address: String
    package let mailbox: String
    /// How the password is kept: "yescrypt", "bcrypt", "sha512", or the hash's own prefix.
    package let password: String
    package let scram: Bool
    package let apop: Bool
    package let disabled: Bool
    /// In UTC, as ISO 8601 writes it.
    package let created: String

    static let columns = """
        local, domain, mailbox, password_hash, scram_stored_key IS NOT NULL, apop_secret IS NOT NULL, disabled, created
        """

    init(_ row: Row) throws {
        let domain = try row.decode(String.self, atIndex: 1)
        address = "\(try row.decode(String.self, atIndex: 0))@\(domain)"
        mailbox = "\(try row.decode(String.self, atIndex: 2))@\(domain)"
        password = PasswordScheme.name(ofHash: try row.decode(String.self, atIndex: 3))
        scram = try row.decode(Bool.self, atIndex: 4)
        apop = try row.decode(Bool.self, atIndex: 5)
        disabled = try row.decode(Bool.self, atIndex: 6)
        created = timeText(try row.decode(Int64.self, atIndex: 7))
    }
}

/// An alias as it is listed, with all the accounts it goes to.
package struct AliasRow: Codable, Hashable, Sendable {
    package let address: String
    package let targets: [String]
}

func timeText(_ seconds: Int64) -> String {
    Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
}

func currentSeconds() -> Int64 {
    Int64(Date().timeIntervalSince1970)
}
