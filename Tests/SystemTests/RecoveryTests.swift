import Testing

extension SystemTests {
    @Suite(
        "Storage nodes that go and come back",
        .cluster { $0 + "\ndelivery: {timeout: 10s, connectTimeout: 10s, reconnectDelayMax: 500ms}\n" })
    struct RecoveryTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private func owner(of account: TestCluster.Account) async throws -> String {
            let text = try await cluster.hauberk(["locate", account.address])
            return try #require(["store-1", "store-2", "store-3"].first { text.contains($0) })
        }

        /// Offers a message of so many octets; the reply to RCPT if it is refused there, otherwise that to the dot.
        private func offer(_ octets: Int, to account: TestCluster.Account) async throws -> String {
            let client = try RawConnection(port: cluster.port(2525))
            _ = try await client.reply()
            _ = try await client.command("EHLO client.example")
            _ = try await client.command("MAIL FROM:<sender@client.example>")
            let recipient = try await client.command("RCPT TO:<\(account.address)>") ?? "gone"
            guard recipient.hasPrefix("2") else { return recipient }
            _ = try await client.command("DATA")
            let line = String(repeating: "x", count: 98) + "\r\n"
            try await client.send("Subject: recovery\r\n\r\n" + String(repeating: line, count: octets / 100))
            return try await client.command(".") ?? "gone"
        }

        @Test("A large message for a node that is down is taken by another once that is known, and is there once")
        func largeMessageForDeadNode() async throws {
            let reader = try await cluster.makeAccount()
            let node = try await owner(of: reader)
            try await cluster.crash(node)
            try await untilTaken(by: reader, octets: 300_000)
            #expect(cluster.isRunning("smtp-a"))
            try await cluster.restart(node, try #require(TestCluster.storePorts[node]))
            #expect(try await cluster.messageCount(reader) == 1)
        }

        /// Offers until it is taken, as a mail server would.
        private func untilTaken(by account: TestCluster.Account, octets: Int) async throws {
            var reply = ""
            for _ in 0..<200 where !reply.hasPrefix("250") {
                reply = try await offer(octets, to: account)
                if !reply.hasPrefix("250") {
                    #expect(reply.hasPrefix("451 4.4.1"), "\(reply)")
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            #expect(reply.hasPrefix("250"))
        }
    }
}
