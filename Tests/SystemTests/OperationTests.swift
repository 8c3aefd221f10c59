import Testing

extension SystemTests {
    @Suite("What an operator does", .cluster)
    struct OperationTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        @Test("Metrics are served as Prometheus text, and count what came in")
        func metrics() async throws {
            let reader = try await cluster.makeAccount()
            let sent = try await Peer.curl.run(
                [
                    "-sS", "--mail-from", "sender@example.org", "--mail-rcpt", reader.address, "-T", "-",
                    "smtp://localhost:\(cluster.port(2525))",
                ], input: Array(SystemTests.message(subject: "counted").utf8))
            try #require(sent.status == 0, "\(sent.errors)")
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
            #expect(try await cluster.messageCount(reader) == 0)
            #expect(try await cluster.hauberk(["account", "list"]).contains(reader.address))
            try await cluster.hauberk(["account", "remove", reader.address])
            #expect(try await cluster.hauberk(["account", "list"]).contains(reader.address) == false)
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
