import Foundation
import Testing

/// The programs of other people's that `scripts/peers` fetches.
enum Peer: String {
    case swaks, curl, fetchmail, mpop, etcd, postfix, exim, opensmtpd, dovecot
    case smtpSource = "smtp-source"

    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    private var path: String { "\(Tree.root)/.peers/bin/\(rawValue)" }
    private var isThere: Bool { FileManager.default.isExecutableFile(atPath: path) }

    /// Fetches what is missing, once for all tests.
    private static let fetching = Task { try? await Program.run("\(Tree.root)/scripts/peers", [], secondsMax: 600) }

    /// Where it is.
    ///
    /// - Throws: `Missing` if it cannot be had; the test fails then, since it has shown nothing.
    func located() async throws -> String {
        if !isThere {
            let outcome = await Self.fetching.value
            guard isThere else {
                throw Missing(description: "\(rawValue) cannot be had: \(outcome?.errors ?? "scripts/peers failed")")
            }
        }
        return path
    }

    /// - Throws: as `located`.
    func run(
        _ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:], secondsMax: Int = 120
    ) async throws -> Program.Outcome {
        let path = try await located()
        return try await Program.run(
            path, arguments, input: input, environment: environment, secondsMax: secondsMax)
    }
}
