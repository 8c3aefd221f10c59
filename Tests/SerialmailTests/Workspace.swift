import Foundation
import Maildirs
import Serialmail
import Synchronization

extension String {
    var bytes: [UInt8] { Array(utf8) }
}

/// A folder with a Maildir `M` in it that lives as long as its test.
final class Workspace: Sendable {
    let path = NSTemporaryDirectory() + "serialmail-\(UUID().uuidString)"

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try Maildir.make("\(path)/M")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Puts a file there that is as many seconds old.
    func put(_ text: String, _ name: String, age: Int = 60) throws { try put(text.bytes, name, age: age) }

    func put(_ bytes: [UInt8], _ name: String, age: Int = 60) throws {
        let file = "\(path)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        let then = time(nil) - age
        var times = [timeval(tv_sec: then, tv_usec: 0), timeval(tv_sec: then, tv_usec: 0)]
        guard utimes(file, &times) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// A message in `M/new` with an envelope.
    func message(
        _ name: String, from sender: String = "a@b.example", to recipient: String = "bob-c@d.example",
        _ text: String = "Subject: x\n\ny\n", age: Int = 60
    ) throws {
        try put("Return-Path: <\(sender)>\nDelivered-To: \(recipient)\n\(text)", "M/new/\(name)", age: age)
    }

    func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(folder)")) ?? []).sorted()
    }

    func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")), as: UTF8.self)
    }

    /// The texts of all files in a folder, in the order of their names.
    func texts(_ folder: String) throws -> [String] { try names(folder).map { try text("\(folder)/\($0)") } }

    /// An executable shell script. Another process writes it: a child that a test starts at the same time would hold a file
    /// open that this process writes, and it could not be run.
    func script(_ name: String, _ text: String) throws -> String {
        try put("#!/bin/bash\n\(text)\n", "\(name).text")
        let copying = Process()
        copying.executableURL = URL(fileURLWithPath: "/usr/bin/install")
        copying.arguments = ["-m", "755", "\(path)/\(name).text", "\(path)/\(name)"]
        try copying.run()
        copying.waitUntilExit()
        return "\(path)/\(name)"
    }
}

/// How a program ended, and what it said.
struct Ran: Equatable {
    var code: Int32
    var output: String
    var diagnostics: String
}

/// Runs a program in this process, as the command line would.
///
/// - Parameters:
///   - folder: what relative paths are below, within the workspace.
///   - server: plays the network's other end, on a thread of its own.
func run(
    _ name: String, _ arguments: [String], in workspace: Workspace, folder: String = "",
    environment: [String: String] = [:], input: [UInt8] = [], secret: String? = nil,
    adjust: @Sendable (inout ProgramContext) -> Void = { _ in },
    server: (@Sendable (FakePeer) -> Void)? = nil
) async throws -> Ran {
    let files = try ["in", "out", "err", "secret"].map { _ in try TemporaryFile() }
    files[0].fill(input)
    files[3].fill(Array((secret ?? "").utf8))
    var context = ProgramContext(arguments: arguments, environment: environment)
    context.environment["PATH"] = ProcessInfo.processInfo.environment["PATH"]
    context.directory = folder.isEmpty ? workspace.path : "\(workspace.path)/\(folder)"
    (context.input, context.output, context.diagnostics) = (
        files[0].descriptor, files[1].descriptor, files[2].descriptor
    )
    context.secretInput = files[3].descriptor
    context.mayBecomeAnother = false
    var ends: [Int32] = [-1, -1]
    if server != nil {
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw CocoaError(.fileNoSuchFile)
        }
        (context.networkInput, context.networkOutput) = (ends[0], ends[0])
    }
    adjust(&context)
    let (running, peer, ours) = (context, FakePeer(ends[1]), ends[0])
    async let served: Void = onThread {
        server?(peer); peer.close()
    }
    let code = await onThread {
        let code = SerialmailPrograms.run(name, running)
        if ours >= 0 { close(ours) }
        return code
    }
    await served
    return Ran(code: code, output: files[1].text, diagnostics: files[2].text)
}

/// Does what blocks, where it blocks nobody else.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { waiting in
        Thread { waiting.resume(returning: body()) }.start()
    }
}

/// An open file without a name.
final class TemporaryFile: Sendable {
    let descriptor: Int32

    init() throws {
        let path = "\(NSTemporaryDirectory())serialmail-\(UUID().uuidString)"
        descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
        unlink(path)
    }

    deinit { close(descriptor) }

    func fill(_ bytes: [UInt8]) {
        pwrite(descriptor, bytes, bytes.count, 0)
    }

    var text: String {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }
}

/// The network's other end.
final class FakePeer: Sendable {
    private let descriptor: Int32
    private let unread = Mutex<[UInt8]>([])
    private let isClosed = Mutex(false)

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func close() {
        let wasClosed = isClosed.withLock { closed in
            defer { closed = true }
            return closed
        }
        if !wasClosed, descriptor >= 0 { _ = Glibc.close(descriptor) }
    }

    func say(_ text: String) { say(text.bytes) }

    func say(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// The next bytes; none at the end.
    func some() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return Array(buffer[..<max(0, count)])
    }

    /// The next line with its LF; nil at the end.
    func line() -> String? {
        while true {
            let line = unread.withLock { unread -> [UInt8]? in
                guard let end = unread.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
                defer { unread.removeFirst(end + 1) }
                return Array(unread[...end])
            }
            if let line { return String(decoding: line, as: UTF8.self) }
            let more = some()
            if more.isEmpty { return nil }
            unread.withLock { $0 += more }
        }
    }
}

/// What happened, in its order.
final class Transcript: Sendable {
    private let kept = Mutex<[String]>([])

    var lines: [String] { kept.withLock { $0 } }

    func note(_ line: String) { kept.withLock { $0.append(line) } }
}
