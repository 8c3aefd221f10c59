import Foundation
import Testing

extension SystemTests {
    @Suite("Sessions that share a frontend's connection to their node", .cluster)
    struct SharedSessionTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        /// So many sessions at one frontend are on all its event loops, and some on the same.
        private static let many = 2 * min(ProcessInfo.processInfo.activeProcessorCount, 8)

        @Test(
            "A client who stops reading within a large message holds up nobody else, and gets the rest when it goes on")
        func slowReader() async throws {
            let reader = try await cluster.makeAccount(on: "store-1")
            // More than all windows and the sockets' buffers take together.
            let line = String(repeating: "x", count: 62) + "\r\n"
            let large = "Subject: large\r\n\r\n" + String(repeating: line, count: (20 << 20) / 64)
            #expect(try await cluster.deliver("Subject: small\r\n\r\ntext\r\n", to: reader).hasPrefix("250"))
            #expect(try await cluster.deliver(large, to: reader).hasPrefix("250"))
            var slow: [RawConnection] = []
            for _ in 0..<Self.many {
                let session = try await cluster.login(reader)
                #expect(try await session.ask("RETR 2").hasPrefix("+OK"))
                slow.append(session)
            }
            for _ in 0..<Self.many {
                let session = try await cluster.login(reader)
                #expect(String(decoding: try await session.retrieve(1), as: UTF8.self).hasSuffix("\r\n\r\ntext\r\n"))
                #expect(try await session.ask("QUIT").hasPrefix("+OK"))
            }
            // One that goes on has all of it, and its session too.
            let text = try await slow[0].multiline()
            #expect(
                text.count > large.utf8.count
                    && text.suffix(large.utf8.count - 18).elementsEqual(large.utf8.dropFirst(18)))
            #expect(try await slow[0].ask("NOOP").hasPrefix("+OK"))
        }

        @Test("A killed node ends the sessions on it, behind what it had said, and sessions at another node go on")
        func killedNode() async throws {
            let reader = try await cluster.makeAccount(on: "store-1")
            let other = try await cluster.makeAccount(on: "store-2")
            for account in [reader, other] {
                #expect(try await cluster.deliver("Subject: 1\r\n\r\ntext\r\n", to: account).hasPrefix("250"))
            }
            var ending: [RawConnection] = []
            var staying: [RawConnection] = []
            for _ in 0..<Self.many {
                ending.append(try await cluster.login(reader))
                staying.append(try await cluster.login(other))
            }
            for session in ending + staying { #expect(try await session.ask("STAT").hasPrefix("+OK 1 ")) }
            try await cluster.crash("store-1")
            for session in ending { #expect(try await session.line() == nil) }
            for session in staying {
                #expect(try await session.retrieve(1).isEmpty == false)
                #expect(try await session.ask("QUIT").hasPrefix("+OK"))
            }
            try await cluster.restart("store-1", [2401, 1101])
            for _ in 0..<Self.many { #expect(try await cluster.loginReply(reader).hasPrefix("+OK")) }
        }

        @Test("A login that comes while the connection to its node breaks is served on a new one")
        func restartedNode() async throws {
            let reader = try await cluster.makeAccount(on: "store-3")
            var sessions: [RawConnection] = []
            for _ in 0..<Self.many { #expect(try await cluster.loginReply(reader).hasPrefix("+OK")) }
            for _ in 0..<Self.many {
                let session = try RawConnection(port: cluster.port(1110))
                _ = try await session.line()
                _ = try await session.ask("USER \(reader.address)")
                sessions.append(session)
            }
            // The frontend hears of the logins before it hears of the end of its connections.
            try cluster.signal(SIGSTOP, "pop3-a")
            do {
                defer { try? cluster.signal(SIGCONT, "pop3-a") }
                for session in sessions { try await session.send("PASS \(reader.password)\r\n") }
                try await cluster.crash("store-3")
                try await cluster.restart("store-3", [2403, 1103], makesHome: false)
            }
            for session in sessions { #expect(try await session.line()?.hasPrefix("+OK") == true) }
        }

        @Test("Sessions that are many need few connections between frontend and node")
        func fewConnections() async throws {
            let reader = try await cluster.makeAccount(on: "store-3")
            let node = cluster.port(1103)
            var sessions: [RawConnection] = []
            for _ in 0..<60 { sessions.append(try await cluster.login(reader)) }
            #expect(try established(to: node) < 30)
            for session in sessions { #expect(try await session.ask("QUIT").hasPrefix("+OK")) }
        }

        /// Connections to a port of this machine, as the kernel lists them.
        private func established(to port: Int) throws -> Int {
            let end = ":" + String(port + 0x10000, radix: 16, uppercase: true).suffix(4)
            let table = try String(contentsOfFile: "/proc/net/tcp", encoding: .utf8)
            return table.split(separator: "\n").count { line in
                let words = line.split(separator: " ")
                return words.count > 3 && words[2].hasSuffix(end) && words[3] == "01"
            }
        }
    }
}
