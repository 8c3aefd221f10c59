import ArgumentParser
import Foundation
import Load
import Mail
import Wire

/// Which server, with TLS or without.
struct LoadTargetOptions: ParsableArguments {
    @Option(help: "The server: host:port, or unix:/path.")
    var target: String

    @Flag(help: "Begin with TLS. The server's certificate is not verified.")
    var tls = false

    @Option(help: "How long connecting, and any answer, may take, in seconds.")
    var timeout: Double = 60

    func load() throws -> LoadTarget {
        guard let endpoint = Endpoint(target) else {
            throw ValidationError("--target \(target): not host:port nor unix:/path")
        }
        let tls = try self.tls ? ClientTLS(unverified: ()) : nil
        return LoadTarget(endpoint: endpoint, tls: tls, timeout: .seconds(max(0.001, min(timeout, 86_400))))
    }
}

/// How much, how fast, how many at once.
struct LoadAmountOptions: ParsableArguments {
    @Option(help: "Connections at once.")
    var connections = 1

    @Option(help: "Messages or sessions a second (open loop: latency counts from the time each was due).")
    var rate: Double?

    @Option(help: "Seconds after which no more is begun.")
    var duration: Double?

    @Option(help: "Threads of the generator.")
    var threads = 1

    func validate() throws {
        guard (1...100_000).contains(connections) else { throw ValidationError("--connections: 1 to 100000") }
        guard (1...1024).contains(threads) else { throw ValidationError("--threads: 1 to 1024") }
        guard rate.map({ $0 >= 0.001 && $0 <= 1e9 }) ?? true else { throw ValidationError("--rate: 0.001 or more") }
        guard duration.map({ $0 > 0 && $0 <= 1e7 }) ?? true else { throw ValidationError("--duration: more than 0") }
    }

    /// - Parameter count: nil for one that follows from the duration, or else from `standard`.
    func load(count: Int?, standard: Int) throws -> LoadAmount {
        guard count.map({ $0 > 0 }) ?? true else { throw ValidationError("a count must be 1 or more") }
        return LoadAmount(
            connections: connections, count: count ?? (duration == nil ? standard : nil),
            duration: duration.map { .seconds($0) }, rate: rate, threads: threads)
    }
}

/// What the outcome looks like.
struct LoadOutputOptions: ParsableArguments {
    @Flag(help: "Print the summary as JSON.")
    var json = false

    @Flag(help: "Show no progress.")
    var quiet = false
}

/// Whose maildrops are read.
struct LoadUsersOptions: ParsableArguments {
    @Option(help: "Names to log in with; %d becomes 0 to --mailboxes less 1.")
    var users = "user%d@example.test"

    @Option(help: "How many names the pattern makes.")
    var mailboxes = 100

    @Option(help: "Their password; %d as in --users.")
    var password: String?

    @Option(help: "A file whose first line is the password.")
    var passwordFile: String?

    func validate() throws {
        guard (1...10_000_000).contains(mailboxes) else { throw ValidationError("--mailboxes: 1 to 10000000") }
    }

    var names: NamePattern { NamePattern(users, count: mailboxes) }

    func passwords() throws -> NamePattern {
        if let password { return NamePattern(password, count: mailboxes) }
        guard let passwordFile else { throw ValidationError("--password or --password-file is needed") }
        let line = try LoadFiles.text(passwordFile, for: "--password-file").prefix { !$0.isNewline }
        guard !line.isEmpty else { throw CommandFailure("--password-file \(passwordFile): its first line is empty") }
        return NamePattern(String(line), count: mailboxes)
    }
}

/// Files that a load reads; what cannot be read is told with the option that named it.
enum LoadFiles {
    static func text(_ path: String, for option: String) throws -> String {
        String(decoding: try bytes(path, for: option), as: UTF8.self)
    }

    static func bytes(_ path: String, for option: String) throws -> Data {
        try open(path, option) { try Data(contentsOf: URL(fileURLWithPath: $0)) }
    }

    /// The regular files of a folder, in the order of their names.
    static func names(in folder: String, for option: String) throws -> [String] {
        let names = try open(folder, option) { try FileManager.default.contentsOfDirectory(atPath: $0) }
        return names.sorted().map { "\(folder)/\($0)" }.filter { path in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
        }
    }

    private static func open<Value>(_ path: String, _ option: String, _ read: (String) throws -> Value) throws -> Value
    {
        guard access(path, R_OK) == 0 else {
            throw CommandFailure("\(option) \(path): \(String(cString: strerror(errno)))")
        }
        do {
            return try read(path)
        } catch {
            throw CommandFailure("\(option) \(path): \(error.localizedDescription)")
        }
    }
}
