import Foundation
import GRDB
import Mail
import SASL

/// What is needed to check a log-in.
struct AccountSecrets: Sendable {
    let user: AuthenticatedUser
    let passwordHash: String
    let scram: SCRAMCredentials?
    let apop: String?

    /// By what its right passwords are remembered.
    var cacheName: String { user.mailbox.description }

    /// Reads the columns of `SQLiteDirectory.secrets(of:)`.
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
