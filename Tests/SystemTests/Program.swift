import Foundation

/// A run of another program, to its end.
struct Program {
    struct Outcome: Sendable {
        var status: Int32
        var output: [UInt8]
        var errors: String

        var outputText: String { String(decoding: output, as: UTF8.self) }
    }

    /// Starts `path`, gives it `input`, and waits. A program that takes longer than `secondsMax` is killed with all that
    /// it started, so that a test never hangs on one and no server is left behind.
    static func run(
        _ path: String, _ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:],
        secondsMax: Int = 120
    ) async throws -> Outcome {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let files = ["input", "output", "errors"].map { folder.path + "/" + $0 }
        for file in files { _ = FileManager.default.createFile(atPath: file, contents: nil) }
        try Data(input).write(to: URL(fileURLWithPath: files[0]))

        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, own in own }
        let handles = [
            FileHandle(forReadingAtPath: files[0]), FileHandle(forWritingAtPath: files[1]),
            FileHandle(forWritingAtPath: files[2]),
        ]
        process.standardInput = handles[0]
        process.standardOutput = handles[1]
        process.standardError = handles[2]
        try await runToEnd(process, secondsMax: secondsMax) { for handle in handles { try? handle?.close() } }
        return Outcome(
            status: process.terminationStatus, output: try bytes(files[1]),
            errors: String(decoding: try bytes(files[2]), as: UTF8.self))
    }

    /// - Parameter started: called as soon as the process has its files, or cannot be started. Foundation does not close
    ///   ours when there is a termination handler.
    private static func runToEnd(_ process: Process, secondsMax: Int, started: () -> Void) async throws {
        // Foundation starts each process in a group of its own.
        let guardian = DispatchWorkItem { kill(-process.processIdentifier, SIGKILL) }
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            defer { started() }
            process.terminationHandler = { _ in done.resume() }
            do {
                try process.run()
                DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(secondsMax), execute: guardian)
            } catch {
                process.terminationHandler = nil
                done.resume(throwing: error)
            }
        }
        guardian.cancel()
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

/// A new folder that only we use.
struct TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "hauberk-test-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    func write(_ name: String, _ text: String, permissions: Int = 0o600) throws -> String {
        let file = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: file)
        return file
    }

    func read(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)), as: UTF8.self)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// Where the parts of the tree lie that the tests use.
enum Tree {
    static let root: String = {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        return folder.path
    }()

    /// The program under test: what HAUBERK_BINARY names, or what was built beside the tests.
    static let hauberk: String = {
        if let named = ProcessInfo.processInfo.environment["HAUBERK_BINARY"] { return named }
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: tests).deletingLastPathComponent().path + "/hauberk"
    }()

    /// The interpreter that the scripts use too.
    static func python(_ arguments: [String], secondsMax: Int = 120) async throws -> Program.Outcome {
        try await Program.run("/usr/bin/env", ["python3", "-B"] + arguments, secondsMax: secondsMax)
    }
}
