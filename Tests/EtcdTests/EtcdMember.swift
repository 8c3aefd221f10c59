import Foundation
import Synchronization

/// One member of an etcd cluster: Debian's etcd on a loopback address of its own, so that no ports are shared.
final class EtcdMember: Sendable {
    struct CannotStart: Error, CustomStringConvertible {
        let description: String
    }

    let name: String
    let address: String
    private let folder: String
    private let extra: [String]
    private let scheme: String
    private let running = Mutex<Running?>(nil)

    private struct Running {
        let process: Process
        let hold: Pipe
    }

    init(name: String, folder: String, scheme: String, extra: [String]) {
        self.name = name
        self.folder = folder
        self.scheme = scheme
        self.extra = extra
        address = "127." + (0..<3).map { _ in "\(Int.random(in: 1...254))" }.joined(separator: ".")
    }

    var endpoint: String { "\(scheme)://\(address):2379" }
    var peer: String { "\(name)=http://\(address):2380" }

    /// Starts it with the data that it had.
    func start(cluster: [EtcdMember]) async throws {
        let program = try await Self.program()
        let process = Process()
        let hold = Pipe()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        // It dies with the pipe, and so with this process, however that ends.
        process.arguments =
            ["-c", #"exec 3<&0; "$@" <&- & cat <&3 >/dev/null; kill -KILL $!; wait"#, "sh", program]
            + arguments(cluster)
        let log = "\(folder)/\(name).log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        process.standardInput = hold
        process.standardOutput = FileHandle(forWritingAtPath: log)
        process.standardError = process.standardOutput
        try process.run()
        // Only our own end keeps it alive.
        try hold.fileHandleForReading.close()
        running.withLock { $0 = Running(process: process, hold: hold) }
    }

    /// kill -9; returns when it is gone.
    func kill() async {
        guard let last = running.withLock({ running in running.take() }) else { return }
        try? last.hold.fileHandleForWriting.close()
        await Task.detached { last.process.waitUntilExit() }.value
    }

    /// Forgets everything that it knew; it must not be running.
    func wipe() throws { try FileManager.default.removeItem(atPath: "\(folder)/\(name)") }

    private func arguments(_ cluster: [EtcdMember]) -> [String] {
        [
            "--name", name, "--data-dir", "\(folder)/\(name)", "--listen-client-urls", endpoint,
            "--advertise-client-urls", endpoint, "--listen-peer-urls", "http://\(address):2380",
            "--initial-advertise-peer-urls", "http://\(address):2380", "--initial-cluster",
            cluster.map(\.peer).joined(separator: ","),
        ] + extra
    }

    private static let fetching = Task.detached { () -> String in
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "\(root)/scripts/peers")
        process.standardError = output
        process.standardOutput = output
        do {
            try process.run()
            let said = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return String(decoding: said, as: UTF8.self)
        } catch {
            return "\(error)"
        }
    }

    /// - Throws: if etcd cannot be had; the test fails then, since it has shown nothing.
    private static func program() async throws -> String {
        let path = "\(root)/.peers/bin/etcd"
        if !FileManager.default.isExecutableFile(atPath: path) {
            let said = await fetching.value
            guard FileManager.default.isExecutableFile(atPath: path) else {
                throw CannotStart(description: "etcd cannot be had: \(said)")
            }
        }
        return path
    }

    private static let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
}
