import Foundation
import Testing

extension SystemTests {
    @Suite("What is down, and comes back", .cluster { ShortTimes.set($0) })
    struct OutageTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private func message(_ subject: String) -> String { "Subject: \(subject)\r\n\r\ntext of \(subject)\r\n" }

        private func subjects(_ account: TestCluster.Account) async throws -> [String] {
            try await cluster.messages(account).compactMap { message in
                message.split(separator: "\r\n").first { $0.hasPrefix("Subject: ") }.map { String($0.dropFirst(9)) }
            }
        }

        /// Asks until the answer begins with `expected`; what was asked too early does not count.
        private func wait(for expected: String, _ ask: () async throws -> String) async throws {
            var answer = ""
            for _ in 0..<600 {
                answer = try await ask()
                if answer.hasPrefix(expected) { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("\(expected) never came, but \(answer)")
        }

        /// What RCPT is answered for an account that no frontend remembers.
        private func recipientReply(_ address: String) async throws -> String {
            let connection = try await cluster.smtp()
            _ = try await connection.say("MAIL FROM:<sender@example.org>")
            return try await connection.say("RCPT TO:<\(address)>")
        }

        @Test("A directory that is away is a 451 and -ERR [SYS/TEMP], and a restored one serves again by itself")
        func directory() async throws {
            let reader = try await cluster.makeAccount()
            let path = cluster.home.path + "/directory.sqlite"
            for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
                try FileManager.default.moveItem(atPath: path + suffix, toPath: path + ".away" + suffix)
            }
            try await wait(for: "451 4.3.0") { try await recipientReply(reader.address) }
            try await wait(for: "-ERR [SYS/TEMP]") { try await cluster.loginReply(reader) }
            #expect(try await recipientReply("nobody@elsewhere.example").hasPrefix("451 4.3.0"))

            _ = try cluster.home.write("directory.sqlite", "this is no database, and was never one")
            try await wait(for: "451 4.3.0") { try await recipientReply(reader.address) }
            try FileManager.default.removeItem(atPath: path)
            for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + ".away" + suffix) {
                try FileManager.default.moveItem(atPath: path + ".away" + suffix, toPath: path + suffix)
            }
            try await wait(for: "250 ") { try await recipientReply(reader.address) }
            try await wait(for: "+OK") { try await cluster.loginReply(reader) }
            #expect(try await cluster.deliver(message("restored"), to: reader).hasPrefix("250"))
        }

        @Test("A killed storage node keeps no mail out: others keep it, and the first login after its return shows it")
        func killedNode() async throws {
            let reader = try await cluster.makeAccount(on: "store-1")
            let other = try await cluster.makeAccount(on: "store-2")
            #expect(try await cluster.deliver(message("before"), to: reader).hasPrefix("250"))
            try await cluster.crash("store-1")
            for number in 1...4 {
                #expect(try await cluster.deliver(message("kept \(number)"), to: reader).hasPrefix("250"))
                #expect(try await cluster.deliver(message("other \(number)"), to: other).hasPrefix("250"))
            }
            // Its only owner is away: never an empty maildrop.
            #expect(try await cluster.loginReply(reader).hasPrefix("-ERR [SYS/TEMP]"))
            #expect(try await subjects(other) == (1...4).map { "other \($0)" })

            try await cluster.restart("store-1", [2401, 1101])
            #expect(try await subjects(reader) == ["before"] + (1...4).map { "kept \($0)" })
            #expect(try await cluster.deliver(message("after"), to: reader).hasPrefix("250"))
            #expect(try await subjects(reader).last == "after")
        }

        @Test("A node that was away for long is found again by itself, and nobody's mail has to wait for that")
        func longAway() async throws {
            let reader = try await cluster.makeAccount(on: "store-3")
            try await cluster.crash("store-3")
            #expect(try await cluster.deliver(message("kept"), to: reader).hasPrefix("250"))
            try await Task.sleep(for: .seconds(3))
            #expect(try await cluster.deliver(message("kept too"), to: reader).hasPrefix("250"))
            try await cluster.restart("store-3", [2403, 1103])
            #expect(try await subjects(reader) == ["kept", "kept too"])
            try await cluster.waitForLog("smtp-a", "storage node is back")
            #expect(try await cluster.deliver(message("found"), to: reader).hasPrefix("250"))
            #expect(try await subjects(reader) == ["kept", "kept too", "found"])
        }

        @Test("A message for mailboxes on three nodes, one of which dies under it, is one 250, and each has it once")
        func oneOfThree() async throws {
            var readers: [TestCluster.Account] = []
            for node in TestCluster.storePorts.keys.sorted() { readers.append(try await cluster.makeAccount(on: node)) }
            let all = readers.map(\.address)
            let connection = try await cluster.smtp(2526)
            // All are accepted, and only then the node goes.
            _ = try await connection.say("MAIL FROM:<sender@example.org>")
            for address in all { #expect(try await connection.say("RCPT TO:<\(address)>").hasPrefix("250")) }
            try await cluster.crash("store-2")
            #expect(try await connection.say("DATA").hasPrefix("354"))
            #expect(try await connection.say(message("first") + ".").hasPrefix("250"))
            #expect(try await cluster.messages(readers[0]).count == 1)
            try await cluster.restart("store-2", [2402, 1102])
            #expect(try await cluster.smtp(2526).deliver(message("second"), to: all).hasPrefix("250"))
            for reader in readers { #expect(try await subjects(reader) == ["first", "second"]) }
        }

        @Test("A node that hangs keeps nobody's mail out, and nothing is there twice when it goes on")
        func hangingNode() async throws {
            let reader = try await cluster.makeAccount(on: "store-1")
            let other = try await cluster.makeAccount(on: "store-2")
            #expect(try await cluster.deliver(message("before"), to: reader).hasPrefix("250"))
            try cluster.signal(SIGSTOP, "store-1")
            do {
                defer { try? cluster.signal(SIGCONT, "store-1") }
                async let login = cluster.loginReply(reader)
                async let first = cluster.deliver(message("hung"), to: reader)
                async let second = cluster.deliver(message("hung"), to: reader, port: 2526)
                for number in 1...3 {
                    #expect(try await cluster.deliver(message("other \(number)"), to: other).hasPrefix("250"))
                }
                #expect(try await subjects(other) == (1...3).map { "other \($0)" })
                #expect(try await login.hasPrefix("-ERR [SYS/TEMP]"))
                #expect(try await first.hasPrefix("250"))
                #expect(try await second.hasPrefix("250"))
            }
            try await wait(for: "+OK") { try await cluster.loginReply(reader) }
            #expect(try await cluster.deliver(message("after"), to: reader).hasPrefix("250"))
            #expect(try await subjects(reader) == ["before", "hung", "hung", "after"])
        }

        @Test("A large message whose node dies under it is deferred, and leaves nothing")
        func nodeDiesUnderLargeMessage() async throws {
            let reader = try await cluster.makeAccount(on: "store-2")
            let connection = try await cluster.smtp()
            for command in ["MAIL FROM:<a@example.org>", "RCPT TO:<\(reader.address)>", "DATA"] {
                _ = try await connection.say(command)
            }
            let line = [UInt8](repeating: UInt8(ascii: "x"), count: 998) + Array("\r\n".utf8)
            let megabyte = [UInt8]((0..<1024).map { _ in line }.joined())
            for _ in 0..<2 { try await connection.send(megabyte) }
            try await cluster.crash("store-2")
            for _ in 0..<2 { try await connection.send(megabyte) }
            #expect(try await connection.say(".").hasPrefix("451"))
            try await cluster.restart("store-2", [2402, 1102])
            #expect(try await cluster.messages(reader).isEmpty)
            try await wait(for: "250") { try await cluster.deliver(message("after"), to: reader) }
        }

        @Test("A full disk keeps nobody's mail out and loses nothing: others keep it until there is room")
        func fullDisk() async throws {
            let reader = try await cluster.makeAccount(on: "store-3")
            try await cluster.crash("store-3")
            guard let disk = try await SmallFileSystem.mount(at: cluster.home.path + "/nodes/store-3") else {
                return try await cluster.restart("store-3", [2403, 1103])
            }
            try await cluster.restart("store-3", [2403, 1103])
            let filling = String(repeating: String(repeating: "y", count: 70) + "\r\n", count: 1000)
            for number in 1...80 {
                let reply = try await cluster.deliver("Subject: \(number)\r\n\r\n" + filling, to: reader)
                #expect(reply.hasPrefix("250"), "\(reply)")
            }
            let shown = try await cluster.messages(reader).count
            #expect((10..<80).contains(shown), "\(shown)")
            // A full node still lets its readers make room.
            let session = try await cluster.login(reader)
            for number in 1...5 { #expect(try await session.ask("DELE \(number)").hasPrefix("+OK")) }
            #expect(try await session.ask("QUIT").hasPrefix("+OK"))
            try await disk.grow()
            var messages: [String] = []
            for _ in 0..<200 where messages.count < 75 { messages = try await cluster.messages(reader) }
            #expect(messages.count == 75)
            #expect(messages.allSatisfy { $0.hasSuffix("\r\n\r\n" + filling) })
            try await cluster.crash("store-3")
            disk.unmount()
            try await cluster.restart("store-3", [2403, 1103])
        }
    }
}

/// The development cluster with times that a test can wait for, and that a busy machine meets.
private enum ShortTimes {
    static func set(_ configuration: String) -> String {
        configuration
            + "\ndelivery: {timeout: 8s, connectTimeout: 5s, reconnectDelay: 20ms, reconnectDelayMax: 200ms}\n"
    }
}

/// A file system that is soon full.
private final class SmallFileSystem: Sendable {
    private let path: String

    private init(path: String) { self.path = path }

    /// Gives it room.
    func grow() async throws {
        let outcome = try await Program.run("/usr/bin/env", ["mount", "-o", "remount,size=64m", path])
        #expect(outcome.status == 0, "\(outcome.errors)")
    }

    /// Nil, with a line that says so, where the machine does not let us mount. Where `CI` is set that is a failure.
    static func mount(at path: String) async throws -> SmallFileSystem? {
        let outcome = try await Program.run(
            "/usr/bin/env", ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", path])
        if outcome.status == 0 { return SmallFileSystem(path: path) }
        #expect(ProcessInfo.processInfo.environment["CI"] == nil, "\(outcome.errors)")
        print("not tried here: no small file system (\(outcome.errors)); needs root")
        return nil
    }

    deinit { unmount() }

    func unmount() { umount2(path, Int32(MNT_DETACH)) }
}
