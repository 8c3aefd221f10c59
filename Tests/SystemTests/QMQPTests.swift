import Testing

extension SystemTests {
    @Suite("QMQP at a frontend", .cluster { PackageListeners.add($0) })
    struct QMQPTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        /// Sends one package. Returns the answer; the server closes behind it.
        private func say(_ package: [UInt8], port: Int = PackageListeners.qmqp) async throws -> String {
            let connection = try RawConnection(port: cluster.port(port))
            try await connection.send(package)
            let answer = try await connection.netstring()
            #expect(try await connection.rest() == "")
            return answer
        }

        private let text = "Subject: x\n\n.\nGrüße\n"

        @Test("A message is stored for all its recipients, and one K is said")
        func accepted() async throws {
            let (one, other) = (try await cluster.makeAccount(), try await cluster.makeAccount())
            let answer = try await say(QMTPPackage.qmqp(text, to: [one.address, other.address, one.address]))
            #expect(answer.hasPrefix("K250 2.0.0"), "\(answer)")
            for account in [one, other] {
                let messages = try await cluster.messages(account)
                #expect(messages.count == 1)
                #expect(messages[0].contains("by mail.example.test with QMQP\r\n"))
                #expect(messages[0].hasSuffix("\r\nSubject: x\r\n\r\n.\r\nGrüße\r\n"))
            }
        }

        @Test("If one recipient cannot be taken nobody gets the message, large or small")
        func allOrNone() async throws {
            let reader = try await cluster.makeAccount()
            for message in [text, text + String(repeating: "0123456789\n", count: 40_000)] {
                for (other, start) in [
                    ("nobody@example.test", "D550 5.1.1 "), ("someone@elsewhere.example", "D550 5.7.1 "),
                    ("no address", "D553 5.1.3 "),
                ] {
                    let answer = try await say(QMTPPackage.qmqp(message, to: [reader.address, other]))
                    #expect(answer.hasPrefix(start), "\(answer)")
                }
                let looping = "Delivered-To: \(reader.address)\n" + message
                let other = try await cluster.makeAccount()
                let answer = try await say(QMTPPackage.qmqp(looping, to: [other.address, reader.address]))
                #expect(answer.hasPrefix("D554 5.4.6 "), "\(answer)")
                #expect(try await cluster.messageCount(other) == 0)
            }
            #expect(try await say(QMTPPackage.qmqp("a\rb\n", to: [reader.address])).hasPrefix("D550 5.6.11 "))
            #expect(try await say(QMTPPackage.qmqp(text, to: [])).hasPrefix("D554 5.5.1 "))
            #expect(try await cluster.messageCount(reader) == 0)
        }

        @Test("Who is no client is sent away with a temporary answer, whatever it says")
        func clients() async throws {
            let reader = try await cluster.makeAccount()
            let connection = try RawConnection(port: cluster.port(PackageListeners.closed))
            #expect(try await connection.netstring().hasPrefix("Z421 4.7.1 "))
            #expect(try await connection.rest() == "")
            let package = QMTPPackage.qmqp(text, to: [reader.address])
            for (host, isClient) in [("192.0.2.200", true), ("192.0.3.1", false), ("127.0.0.1", false)] {
                let header = Array("PROXY TCP4 \(host) 198.51.100.1 40000 628\r\n".utf8)
                let answer = try await say(header + package, port: PackageListeners.behindBalancer)
                #expect(answer.hasPrefix(isClient ? "K250 " : "Z421 4.7.1 "), "\(host): \(answer)")
            }
            let messages = try await cluster.messages(reader)
            #expect(messages.count == 1)
            #expect(messages[0].contains("Received: from unknown ([192.0.2.200])"))
        }

        @Test("SIGHUP takes new clients")
        func reload() async throws {
            let reader = try await cluster.makeAccount()
            let package = QMTPPackage.qmqp(text, to: [reader.address])
            let good = try cluster.home.read("cluster.yaml")
            let address = "\"127.0.0.1:\(cluster.port(PackageListeners.closed))\", clients: "
            try cluster.rewriteConfiguration { $0.replacing(address + "[", with: address + "[127.0.0.1, ") }
            #expect(try await cluster.reload("smtp-a").contains("clients"))
            #expect(try await say(package, port: PackageListeners.closed).hasPrefix("K250 "))
            _ = try cluster.home.write("cluster.yaml", good)
            _ = try await cluster.reload("smtp-a")
            #expect(try await say([], port: PackageListeners.closed).hasPrefix("Z421 4.7.1 "))
        }

        @Test("Connections are counted, and messages with their verdicts")
        func metrics() async throws {
            let reader = try await cluster.makeAccount()
            _ = try await say(QMTPPackage.qmqp(text, to: [reader.address]))
            let shown = try await Peer.curl.run(["-sS", "http://127.0.0.1:\(cluster.port(9101))/metrics"]).outputText
            for name in ["qmtp_connections", "messages"] {
                let values = shown.split(separator: "\n").filter { $0.contains(name) && !$0.hasPrefix("#") }
                #expect(values.contains { !$0.hasSuffix(" 0") }, "\(name)\n\(values)")
            }
        }
    }
}
