import Testing

extension SystemTests {
    @Suite("What an operator does", .cluster { ShortMemory.set($0) })
    struct OperationTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private func storedOnNodes() async throws -> Int {
            var sum = 0
            for port in [9111, 9112, 9113] {
                sum += try await cluster.counter("hauberk_messages_stored_total", port: port)
            }
            return sum
        }

        @Test("Metrics are served as Prometheus text, and count what came in")
        func metrics() async throws {
            let reader = try await cluster.makeAccount()
            let accepted = #"hauberk_messages_total{verdict="accepted"}"#
            let acceptedBefore = try await cluster.counter(accepted, port: 9101)
            let octetsBefore = try await cluster.counter("hauberk_message_octets_total", port: 9101)
            let storedBefore = try await storedOnNodes()
            let sent = try await Peer.curl.run(
                [
                    "-sS", "--mail-from", "sender@example.org", "--mail-rcpt", reader.address, "-T", "-",
                    "smtp://localhost:\(cluster.port(2525))",
                ], input: Array(SystemTests.message(subject: "counted").utf8))
            try #require(sent.status == 0, "\(sent.errors)")
            #expect(try await cluster.counter(accepted, port: 9101) == acceptedBefore + 1)
            #expect(try await cluster.counter("hauberk_message_octets_total", port: 9101) > octetsBefore)
            #expect(try await storedOnNodes() == storedBefore + 1)
            for port in [9101, 9111, 9112, 9113] {
                let page = try await Peer.curl.run(["-sSf", "http://localhost:\(cluster.port(port))/metrics"])
                #expect(page.status == 0, "\(page.errors)")
                #expect(page.outputText.contains("\nprocess_resident_memory_bytes "))
                #expect(page.outputText.contains("hauberk_"))
            }
        }

        @Test("An account that is made, changed and removed is so at every frontend")
        func accounts() async throws {
            let reader = try await cluster.makeAccount()
            let changed = TestCluster.Account(address: reader.address, password: "changed")
            let frontends = [1110, 1111]
            #expect(try await cluster.hauberk(["account", "list"]).contains(reader.address))
            for port in frontends { #expect(try await cluster.loginReply(reader, port: port).hasPrefix("+OK")) }

            try await cluster.hauberk(["account", "passwd", reader.address, "--password-stdin"], input: "changed\n")
            for port in frontends {
                #expect(try await cluster.loginReply(changed, port: port).hasPrefix("+OK"))
                try await waitForRefusal(of: reader, port: port)
                #expect(try await cluster.loginReply(changed, port: port).hasPrefix("+OK"))
            }

            try await cluster.hauberk(["account", "remove", reader.address])
            #expect(try await cluster.hauberk(["account", "list"]).contains(reader.address) == false)
            for port in frontends { try await waitForRefusal(of: changed, port: port) }
            for port in [2525, 2526] { try await waitForUnknown(reader.address, port: port) }
        }

        /// Logs in until the frontend has forgotten that the password was right. Only the last login is wrong, so that
        /// none is held back.
        private func waitForRefusal(of account: TestCluster.Account, port: Int) async throws {
            var reply = ""
            for _ in 0..<600 {
                reply = try await cluster.loginReply(account, port: port)
                if !reply.hasPrefix("+OK") { break }
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(reply.hasPrefix("-ERR [AUTH]"), "\(reply)")
        }

        private func waitForUnknown(_ address: String, port: Int) async throws {
            var reply = ""
            for _ in 0..<600 where !reply.hasPrefix("550 5.1.1") {
                try await Task.sleep(for: .milliseconds(100))
                let connection = try await cluster.smtp(port)
                _ = try await connection.say("MAIL FROM:<sender@example.org>")
                reply = try await connection.say("RCPT TO:<\(address)>")
            }
            #expect(reply.hasPrefix("550 5.1.1"), "\(reply)")
        }

        @Test("An alias reaches each of its targets")
        func aliases() async throws {
            let first = try await cluster.makeAccount()
            let second = try await cluster.makeAccount()
            try await cluster.hauberk(["alias", "add", "both@example.test", first.address, second.address])
            let sent = try await Peer.curl.run(
                [
                    "-sS", "--mail-from", "sender@example.org", "--mail-rcpt", "both@example.test", "-T", "-",
                    "smtp://localhost:\(cluster.port(2526))",
                ], input: Array(SystemTests.message(subject: "for both").utf8))
            #expect(sent.status == 0, "\(sent.errors)")
            for reader in [first, second] {
                #expect(try await cluster.message(1, of: reader).contains("\r\nSubject: for both\r\n"))
            }
        }

        @Test("The ring, a mailbox's place and the configuration can be asked for")
        func questions() async throws {
            let reader = try await cluster.makeAccount()
            #expect(try await cluster.hauberk(["ring", "show"]).contains("store-1"))
            #expect(try await cluster.hauberk(["locate", reader.address]).contains("store-"))
            try await cluster.hauberk(["check-config"])
        }
    }
}

/// The development cluster with frontends that soon forget what the directory said.
private enum ShortMemory {
    static func set(_ configuration: String) -> String {
        configuration.replacing(#/(?m)^  cacheLifetime:.*/#, with: "  cacheLifetime: 1s\n  passwordCacheLifetime: 1s")
    }
}
