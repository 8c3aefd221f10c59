import Foundation
import Testing

@testable import Etcd

@Suite("hauberk membership, with a real member", .serialized, .timeLimit(.minutes(5)))
struct MembershipCommandTests {
    @Test("init puts the file's membership there once; show shows it, and who is alive")
    func founding() async throws {
        try await EtcdCluster.with { cluster in
            let file = try Self.write(cluster)
            let empty = try await Self.hauberk(["membership", "show", "--config", file])
            #expect(empty.status == 1)
            #expect(empty.errors.contains("hauberk membership init"))

            for _ in 0..<2 {
                let made = try await Self.hauberk(["membership", "init", "--config", file])
                #expect(made.status == 0, "\(made.errors)")
                #expect(made.output.contains("/hauberk/mail/membership"))
            }
            try await cluster.membership { membership in
                let version = try #require(await membership.read())
                #expect(version.text.contains(#"- "a b""#))
                try await membership.client.put(key: membership.alivePrefix + "a", value: [])
                let shown = try await Self.hauberk(["membership", "show", "--config", file])
                #expect(shown.status == 0, "\(shown.errors)")
                #expect(shown.output.hasSuffix("\n\n\(version.text)"))
                #expect(!shown.output.contains("no process takes it"))

                struct View: Decodable {
                    let revision: Int64
                    let text: String
                    let problem: String?
                    let alive: [String]
                }
                let json = try await Self.hauberk(["membership", "show", "--json", "--config", file])
                let view = try JSONDecoder().decode(View.self, from: Data(json.output.utf8))
                #expect(view.text == version.text)
                #expect(view.revision == version.revision)
                #expect(view.problem == nil)
                #expect(view.alive == ["a"])

                #expect(try await membership.replace("nodes: []\n", expecting: version.revision) != .lost)
                let wrong = try await Self.hauberk(["membership", "show", "--config", file])
                #expect(wrong.output.contains("no process takes it"))
            }
            let other = try await Self.hauberk(["membership", "init", "--config", file])
            #expect(other.status == 1)
            #expect(other.errors.contains("another membership"))
        }
    }

    @Test("Without etcd, and with a file that has none, the commands say why")
    func refusals() async throws {
        try await EtcdCluster.with { cluster in
            let file = try Self.write(cluster)
            await cluster.members[0].kill()
            for command in ["init", "show"] {
                let outcome = try await Self.hauberk(["membership", command, "--config", file])
                #expect(outcome.status == 1)
                #expect(outcome.errors.contains("etcd is not available"), "\(outcome.errors)")
            }
            let fixed = try String(contentsOfFile: file, encoding: .utf8).replacing("kind: etcd", with: "kind: static")
            try fixed.write(toFile: file, atomically: true, encoding: .utf8)
            let outcome = try await Self.hauberk(["membership", "show", "--config", file])
            #expect(outcome.status == 1)
            #expect(outcome.errors.contains("membership.kind static"))
        }
    }

    private static func write(_ cluster: EtcdCluster) throws -> String {
        let file = "\(cluster.folder)/hauberk.yaml"
        try """
        cluster: {name: mail, epochs: ["a b"]}
        membership: {kind: etcd, etcd: {endpoints: ["\(cluster.members[0].endpoint)"]}}
        nodes:
          - {name: a, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2"}
          - {name: b, lmtp: "127.0.0.1:3", pop3: "127.0.0.1:4"}
        """.write(toFile: file, atomically: true, encoding: .utf8)
        return file
    }

    /// Runs the program that HAUBERK_BINARY names, or that was built beside the tests.
    private static func hauberk(_ arguments: [String]) async throws -> (status: Int32, output: String, errors: String) {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let beside = URL(fileURLWithPath: tests).deletingLastPathComponent().path + "/hauberk"
        let path = ProcessInfo.processInfo.environment["HAUBERK_BINARY"] ?? beside
        return try await Task.detached {
            let process = Process()
            let (output, errors) = (Pipe(), Pipe())
            process.executableURL = URL(fileURLWithPath: path)
            process.arguments = arguments
            process.standardOutput = output
            process.standardError = errors
            try process.run()
            // Neither is as long as a pipe holds.
            let said = try output.fileHandleForReading.readToEnd() ?? Data()
            let complained = try errors.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return (
                process.terminationStatus, String(decoding: said, as: UTF8.self),
                String(decoding: complained, as: UTF8.self)
            )
        }.value
    }
}
