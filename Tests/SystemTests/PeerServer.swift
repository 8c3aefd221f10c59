import Foundation
import Testing

/// How a mail server of other people's is set up: it takes all mail for example.test into one Maildir.
protocol PeerServerSetup: Sendable {
    var peer: Peer { get }
    /// What is started, once `files(port:)` are there.
    var command: [String] { get }
    /// Its configuration, by path below /etc. /peer is the server's folder.
    func files(port: Int) -> [String: String]
    /// What it speaks on its port, as a relay's `protocol`.
    var mailProtocol: String { get }
}

extension PeerServerSetup {
    var mailProtocol: String { "smtp" }
}

/// Mail for a domain that a server keeps until it is asked for it by ETRN (RFC 1985), and then brings to a port of the
/// loopback address.
struct HeldMail: Sendable {
    let domain: String
    let port: Int
}

/// A mail server of other people's on a free port of the loopback address, as if it were installed (`scripts/peer-root`).
final class PeerServer: @unchecked Sendable {
    let port: Int
    let folder: TemporaryFolder
    private let starter: String
    private let block: PortBlock
    private let process = Process()

    /// What is laid over the machine's file system needs root, and a kernel that allows it.
    static let isPossible: Bool = {
        let check = Process()
        check.executableURL = URL(fileURLWithPath: Tree.root + "/scripts/peer-root")
        check.arguments = ["--check"]
        check.standardError = FileHandle.nullDevice
        guard (try? TestCluster.withSignalsUnblocked { try check.run() }) != nil else { return false }
        check.waitUntilExit()
        return check.terminationStatus == 0
    }()

    static let lacking: Comment =
        "LEFT OUT, because this machine allows no file system over its own (scripts/peer-root)"

    /// - Throws: as `Peer.located`, and if the server does not start.
    static func run(_ setup: some PeerServerSetup, _ body: (PeerServer) async throws -> Void) async throws {
        let server = try await PeerServer(setup)
        defer { server.end() }
        try server.start(setup)
        try await server.waitUntilListening()
        try await body(server)
    }

    private init(_ setup: some PeerServerSetup) async throws {
        starter = try await setup.peer.located()
        block = try PortBlock()
        folder = try TemporaryFolder()
        port = block.ports[0]
    }

    private func start(_ setup: some PeerServerSetup) throws {
        for (path, text) in setup.files(port: port) {
            let file = URL(fileURLWithPath: "\(folder.path)/etc/\(path)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        try FileManager.default.createDirectory(
            atPath: folder.path + "/queue", withIntermediateDirectories: false)
        let output = folder.path + "/output"
        _ = FileManager.default.createFile(atPath: output, contents: nil)
        process.executableURL = URL(fileURLWithPath: starter)
        process.arguments = [folder.path] + setup.command
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = process.standardOutput
        try TestCluster.withSignalsUnblocked { try process.run() }
    }

    private func waitUntilListening() async throws {
        for _ in 0..<600 {
            if (try? RawConnection(port: port)) != nil { return }
            guard process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        let words = (try? folder.read("output")) ?? ""
        throw Peer.Missing(description: "\(starter) does not start: \(words.suffix(1000))")
    }

    /// Kills all its processes, and removes what they had.
    private func end() {
        if process.isRunning {
            // Nothing else ends a namespace's first process from outside, and with that one all others end.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        folder.remove()
    }

    /// Runs a command of the server's packages over its folder, as `postqueue -f`.
    func command(_ words: String...) async throws -> Program.Outcome {
        try await Program.run(starter, [folder.path] + words)
    }

    /// The messages that it has delivered, with LF line ends and the server's own fields on top.
    func messages() throws -> [[UInt8]] {
        let new = folder.path + "/reader/Maildir/new"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: new)) ?? []
        return try names.sorted().map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(new)/\($0)"))) }
    }

    /// Waits until it has delivered so many.
    func waitForMessages(_ count: Int) async throws -> [[UInt8]] {
        var found: [[UInt8]] = []
        for _ in 0..<1200 {
            found = try messages()
            if found.count >= count { return found }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TestCluster.Failed(description: "\(starter) has delivered \(found.count) of \(count) messages")
    }
}
