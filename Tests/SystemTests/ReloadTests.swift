import Foundation
import Testing

extension SystemTests {
    @Suite("SIGHUP and SIGTERM", .cluster { LiveLimits.set($0) })
    struct ReloadTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        /// How many recipients of one message are taken.
        private func recipientsTaken(_ reader: TestCluster.Account) async throws -> Int {
            let connection = try await cluster.smtp()
            _ = try await connection.say("MAIL FROM:<sender@example.org>")
            for count in 0..<20 {
                let reply = try await connection.say("RCPT TO:<\(reader.address)>")
                guard reply.hasPrefix("250") else {
                    #expect(reply.hasPrefix("452 4.5.3"), "\(reply)")
                    return count
                }
            }
            return 20
        }

        @Test("SIGHUP takes new limits, a broken file changes nothing, and what needs a restart is named")
        func limits() async throws {
            let reader = try await cluster.makeAccount()
            let good = try cluster.home.read("cluster.yaml")
            defer { try? cluster.rewriteConfiguration { _ in good } }
            #expect(try await recipientsTaken(reader) == 5)
            try cluster.rewriteConfiguration { $0.replacing("recipientsMax: 5", with: "recipientsMax: 2") }
            let taken = try await cluster.reload("smtp-a")
            #expect(taken.contains("smtp.limits.recipientsMax: 5 is now 2"), "\(taken)")
            #expect(try await recipientsTaken(reader) == 2)

            try cluster.rewriteConfiguration {
                $0.replacing("recipientsMax: 2", with: "recipientsMax: 7").replacing("hostname:", with: "hostnam:")
            }
            let refused = try await cluster.reload("smtp-a", expecting: "not reloaded")
            let line = try #require(
                good.split(separator: "\n", omittingEmptySubsequences: false).firstIndex { $0.hasPrefix("hostname:") })
            #expect(refused.contains("cluster.yaml:\(line + 1):"), "\(refused)")
            #expect(try await recipientsTaken(reader) == 2)

            let moved = good.replacing("127.0.0.1:\(cluster.port(2525))", with: "127.0.0.2:\(cluster.port(2525))")
            _ = try cluster.home.write("cluster.yaml", moved)
            let restart = try await cluster.reload("smtp-a")
            let warned = restart.split(separator: "\n").contains { line in
                line.contains("needs a restart") && line.contains("is now 127.0.0.2:\(cluster.port(2525))")
            }
            #expect(warned, "\(restart)")
            #expect(try await recipientsTaken(reader) == 5)

            _ = try cluster.home.write("cluster.yaml", good)
            _ = try await cluster.reload("smtp-a")
        }

        @Test("SIGHUP takes a new limit of connections per address; those that are open stay")
        func connections() async throws {
            let held = [try await cluster.smtp(2526), try await cluster.smtp(2526)]
            let good = try cluster.home.read("cluster.yaml")
            try cluster.rewriteConfiguration {
                $0.replacing("connectionsPerAddressMax: 50", with: "connectionsPerAddressMax: 2")
            }
            _ = try await cluster.reload("smtp-b")
            #expect(try await (try RawConnection(port: cluster.port(2526))).rest().hasPrefix("421 "))
            for connection in held { #expect(try await connection.say("NOOP").hasPrefix("250")) }
            _ = try cluster.home.write("cluster.yaml", good)
            _ = try await cluster.reload("smtp-b")
            _ = try await cluster.smtp(2526)
        }

        @Test("SIGHUP takes a new balancer: from then on it must send its header")
        func balancer() async throws {
            let good = try cluster.home.read("cluster.yaml")
            defer { try? cluster.rewriteConfiguration { _ in good } }
            let address = "address: \"127.0.0.1:\(cluster.port(2526))\""
            try cluster.rewriteConfiguration { $0.replacing(address, with: address + ", proxyFrom: [127.0.0.1]") }
            #expect(try await cluster.reload("smtp-b").contains("proxyFrom"))
            _ = try await cluster.smtp(2526, before: Array("PROXY TCP4 192.0.2.5 192.0.2.6 1025 25\r\n".utf8))
            let silent = try RawConnection(port: cluster.port(2526))
            try await silent.send("QUIT\r\n")
            #expect(try await silent.rest() == "")
            _ = try cluster.home.write("cluster.yaml", good)
            _ = try await cluster.reload("smtp-b")
            _ = try await cluster.smtp(2526)
        }

        @Test("SIGHUP shows a renewed certificate to new connections, and one that is broken changes nothing")
        func certificate() async throws {
            let file = cluster.home.path + "/certs/frontend.pem"
            func isShown() async throws -> Bool {
                let shown = try await TLSPeer(port: cluster.port(1995)).say("QUIT\r\n").errors
                return try cluster.home.read("certs/frontend.pem").contains(
                    shown.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            #expect(try await isShown())
            let open = try await cluster.login(try await cluster.makeAccount())
            try await cluster.hauberk(["certs", "listener", "--replace"])
            #expect(try await !isShown())
            _ = try await cluster.reload("pop3-a")
            #expect(try await isShown())
            #expect(try await open.ask("NOOP").hasPrefix("+OK"))

            let good = try cluster.home.read("certs/frontend.pem")
            _ = try cluster.home.write("certs/frontend.pem", "no certificate")
            #expect(try await cluster.reload("pop3-a", expecting: "not reloaded").contains(file))
            _ = try cluster.home.write("certs/frontend.pem", good)
            #expect(try await isShown())
        }

        @Test("A new CA with new certificates for all goes into service by SIGHUP alone")
        func newAuthority() async throws {
            let reader = try await cluster.makeAccount()
            #expect(try await cluster.deliver("Subject: old\r\n\r\n", to: reader).hasPrefix("250"))
            let folder = cluster.home.path + "/certs"
            for name in ["ca.pem", "ca.key"] { try FileManager.default.removeItem(atPath: folder + "/" + name) }
            try await cluster.hauberk(["certs", "init"])
            try await cluster.hauberk(["certs", "issue", "--replace"] + cluster.nodes)
            for name in cluster.nodes { _ = try await cluster.reload(name) }
            #expect(try await cluster.deliver("Subject: new\r\n\r\n", to: reader, port: 2526).hasPrefix("250"))
            #expect(try await cluster.messages(reader).count == 2)
            // The one that only a new connection to a node can carry.
            let large = "Subject: large\r\n\r\n" + String(repeating: "a line of a large message\r\n", count: 20_000)
            #expect(try await cluster.deliver(large, to: reader).hasPrefix("250"))
            #expect(try await cluster.messages(reader, port: 1111).last?.hasSuffix(large) == true)
        }

        @Test("SIGTERM lets a message under way be finished: 250, then 421, and the process ends well")
        func terminatedDuringMessage() async throws {
            let reader = try await cluster.makeAccount()
            let busy = try await cluster.smtp(2526)
            for command in ["MAIL FROM:<sender@example.org>", "RCPT TO:<\(reader.address)>", "DATA"] {
                _ = try await busy.say(command)
            }
            try await busy.send("Subject: finished\r\n\r\nfirst ")
            let idle = try await cluster.smtp(2526)
            let draining = cluster.logCount("smtp-b", "draining")
            try cluster.signal(SIGTERM, "smtp-b")
            try await cluster.waitForLog("smtp-b", "draining", count: draining + 1)
            #expect(try await idle.rest().hasPrefix("421 4.3.2"))
            #expect(throws: RawConnection.Failed.self) { try RawConnection(port: cluster.port(2526)) }
            try await busy.send("last\r\n.\r\n")
            #expect(try await busy.reply()?.hasPrefix("250 2.0.0") == true)
            #expect(try await busy.rest().hasPrefix("421 4.3.2"))
            #expect(try await cluster.ended("smtp-b") == 0)
            try await cluster.restart("smtp-b", [2526])
            #expect(try await cluster.messages(reader).first?.hasSuffix("\r\nfirst last\r\n") == true)
        }

        @Test("SIGTERM ends POP3 sessions within drainTimeout, and nothing is deleted that QUIT did not delete")
        func terminatedDuringMaildrop() async throws {
            let reader = try await cluster.makeAccount()
            #expect(try await cluster.deliver("Subject: kept\r\n\r\n", to: reader).hasPrefix("250"))
            let waiting = try RawConnection(port: cluster.port(1111))
            _ = try await waiting.line()
            let session = try await cluster.login(reader, port: 1111)
            #expect(try await session.ask("DELE 1").hasPrefix("+OK"))
            let draining = cluster.logCount("pop3-b", "draining")
            try cluster.signal(SIGTERM, "pop3-b")
            try await cluster.waitForLog("pop3-b", "draining", count: draining + 1)
            // What is under way may go on for a while.
            #expect(try await session.ask("STAT").hasPrefix("+OK 0 0"))
            // RFC 1939 §3: who has not logged in is left without a word.
            #expect(try await waiting.rest() == "")
            _ = try await session.rest()
            #expect(try await cluster.ended("pop3-b") == 0)
            try await cluster.restart("pop3-b", [1111])
            #expect(try await cluster.messages(reader, port: 1111).count == 1)
        }

        /// Offers a message until its recipient is accepted, and sends it then. Returns the reply to it.
        private func deliverWhenAccepted(_ message: String, to reader: TestCluster.Account) async throws -> String {
            let connection = try await cluster.smtp()
            var reply = ""
            for _ in 0..<600 {
                _ = try await connection.say("MAIL FROM:<sender@example.org>")
                reply = try await connection.say("RCPT TO:<\(reader.address)>")
                _ = try await connection.say("RSET")
                if reply.hasPrefix("250") { return try await connection.deliver(message, to: [reader.address]) }
                #expect(reply.hasPrefix("451 4.4.1"), "\(reply)")
                try await Task.sleep(for: .milliseconds(100))
            }
            return reply
        }

        @Test("SIGTERM of a storage node lets it finish; its frontends wait for it and lose nothing")
        func terminatedNode() async throws {
            let reader = try await cluster.makeAccount(on: "store-2")
            for number in 1...3 {
                #expect(try await cluster.deliver("Subject: \(number)\r\n\r\n", to: reader).hasPrefix("250"))
                try cluster.signal(SIGTERM, "store-2")
                #expect(try await cluster.ended("store-2") == 0)
                async let delivered = deliverWhenAccepted("Subject: \(number), waiting\r\n\r\n", to: reader)
                try await cluster.restart("store-2", [2402, 1102])
                #expect(try await delivered.hasPrefix("250"))
            }
            #expect(try await cluster.messages(reader).count == 6)
        }
    }
}

/// Limits that a test can meet and change, and little patience with sessions under way.
private enum LiveLimits {
    static func set(_ configuration: String) -> String {
        configuration.replacing("storage:\n", with: "storage:\n  drainTimeout: 10s\n") + """

            smtp:
              connectionsPerAddressMax: 50
              limits:
                recipientsMax: 5

            """
    }
}
