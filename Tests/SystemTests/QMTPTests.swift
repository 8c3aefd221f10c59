import Foundation
import Testing

extension SystemTests {
    @Suite("QMTP at a frontend", .cluster { PackageListeners.add($0) })
    struct QMTPTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private func connect() throws -> RawConnection { try RawConnection(port: cluster.port(PackageListeners.qmtp)) }

        private func text(_ subject: String) -> String { "Subject: \(subject)\n\ntext of \(subject)\n" }

        /// The messages' own first lines, below what the cluster put on top.
        private func subjects(_ account: TestCluster.Account) async throws -> [String] {
            try await cluster.messages(account).compactMap { message in
                message.split(separator: "\r\n").first { $0.hasPrefix("Subject: ") }.map { String($0.dropFirst(9)) }
            }
        }

        private func isAccepted(_ reply: String) -> Bool { reply.hasPrefix("K250 2.0.0") }

        @Test(
            "serialqmtp ships a Maildir over it: what is accepted leaves, is read by POP3, and what is refused bounces")
        func serialmail() async throws {
            let reader = try await cluster.makeAccount()
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            for name in ["Maildir", "bounces"] {
                let made = try await Program.run(
                    Tree.hauberk, ["serialmail", "maildirmake", folder.path + "/" + name])
                #expect(made.status == 0, "\(made.errors)")
            }
            for (number, recipient) in [reader.address, "nobody@example.test", reader.address].enumerated() {
                let file = try folder.write(
                    "Maildir/new/\(1_700_000_000 + number).1.host",
                    "Return-Path: <sender@example.org>\nDelivered-To: list-\(recipient)\nSubject: \(number)\n\n"
                        + "Grüße\n.\n..\n from \(number)")
                // The newest ones are left for the next run.
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -60)], ofItemAtPath: file)
            }
            let own = [Tree.hauberk, "serialmail"]
            let outcome = try await Program.run(
                Tree.hauberk,
                ["serialmail", "maildirserial", "-b", "--", folder.path + "/Maildir", "list-"]
                    + own + ["tcpclient", "-RHl0", "--", "127.0.0.1", "\(cluster.port(PackageListeners.qmtp))"]
                    + own + ["serialqmtp", "list-"],
                environment: ["SERIALMAIL_BOUNCEDIR": folder.path + "/bounces"])
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/Maildir/new").isEmpty)
            let bounces = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/bounces/new")
            #expect(bounces.count == 1)
            let bounce = try folder.read("bounces/new/\(bounces.first ?? "")")
            #expect(bounce.contains("no such user here") && bounce.contains("Status: 5.1.1"), "\(bounce)")
            let messages = try await cluster.messages(reader)
            #expect(messages.count == 2)
            for (message, number) in zip(messages, [0, 2]) {
                #expect(
                    message.hasSuffix("Subject: \(number)\r\n\r\nGrüße\r\n.\r\n..\r\n from \(number)\r\n"), "\(message)"
                )
                #expect(message.hasPrefix("Return-Path: <sender@example.org>\r\nDelivered-To: \(reader.address)\r\n"))
            }
        }

        @Test("Received: tells the protocol, the client's address and its recipient if there is one")
        func trace() async throws {
            let reader = try await cluster.makeAccount()
            let connection = try connect()
            try await connection.send(QMTPPackage.qmtp("\n" + text("x"), to: [reader.address]))
            #expect(isAccepted(try await connection.netstring()))
            let message = try #require(try await cluster.messages(reader).first)
            #expect(
                message.contains("Received: from unknown ([127.0.0.1])\r\n\tby mail.example.test with QMTP\r\n\tid "))
            #expect(message.contains("\r\n\tfor <\(reader.address)>;\r\n"), "\(message)")
        }

        @Test("Each recipient has its own answer, in order, and those that are accepted have the message")
        func recipients() async throws {
            let (one, other) = (try await cluster.makeAccount(), try await cluster.makeAccount())
            let connection = try connect()
            let names = [
                one.address, "nobody@example.test", "someone@elsewhere.example", "no address", other.address,
                "a@my_host.test", "\(String(repeating: "x", count: 65))@example.test",
            ]
            try await connection.send(QMTPPackage.qmtp("\n" + text("several"), to: names))
            let replies = try await connection.netstrings(names.count)
            #expect(isAccepted(replies[0]) && isAccepted(replies[4]), "\(replies)")
            #expect(replies[1].hasPrefix("D550 5.1.1 "), "\(replies)")
            #expect(replies[2].hasPrefix("D550 5.7.1 "), "\(replies)")
            for bad in [3, 5, 6] { #expect(replies[bad].hasPrefix("D553 5.1.3 "), "\(replies)") }
            // What no node can be told is no matter of time either.
            try await connection.send(QMTPPackage.qmtp("\n" + text("x"), to: [one.address], from: "a@b..c"))
            #expect(try await connection.netstring().hasPrefix("D553 5.1.7 "))
            #expect(try await subjects(one) == ["several"])
            #expect(try await subjects(other) == ["several"])
        }

        @Test("Messages that are sent ahead of the replies have them in order, whatever their line ends")
        func pipelining() async throws {
            let reader = try await cluster.makeAccount()
            let connection = try connect()
            let lines = "Subject: crlf\r\n\r\nx\r\n"
            try await connection.send(
                QMTPPackage.qmtp("\n" + text("lf"), to: [reader.address])
                    + QMTPPackage.qmtp("\r" + lines, to: ["nobody@example.test", reader.address], from: "")
                    + QMTPPackage.qmtp("\n" + text("nobody"), to: [])
                    + QMTPPackage.qmtp("\nSubject: no end", to: [reader.address]))
            let replies = try await connection.netstrings(4)
            #expect(replies.map { $0.first } == ["K", "D", "K", "K"], "\(replies)")
            #expect(try await subjects(reader) == ["lf", "crlf", "no end"])
            #expect(try await cluster.messages(reader)[1].hasPrefix("Return-Path: <>\r\n"))
        }

        @Test(
            "A bare CR or LF is refused, and nothing of the message stays",
            arguments: ["\na\rb\n", "\ra\nb\r\n", "\na\r\n"])
        func bareLineEnds(text: String) async throws {
            let reader = try await cluster.makeAccount()
            let connection = try connect()
            try await connection.send(QMTPPackage.qmtp(text, to: [reader.address]))
            #expect(try await connection.netstring().hasPrefix("D550 5.6.11 "))
            try await connection.send(QMTPPackage.qmtp("\n" + self.text("after"), to: [reader.address]))
            #expect(isAccepted(try await connection.netstring()))
            #expect(try await subjects(reader) == ["after"])
        }

        @Test("A message over smtp.limits.messageBytesMax is refused; a large one under it arrives byte for byte")
        func sizes() async throws {
            let reader = try await cluster.makeAccount()
            let connection = try connect()
            let line = String(repeating: "0123456789", count: 7) + "\n"
            let large = text("large") + String(repeating: line, count: 900_000 / 72)
            let over = text("over") + String(repeating: line, count: PackageListeners.messageBytesMax / 72 + 1)
            try await connection.send(
                QMTPPackage.qmtp("\n" + over, to: [reader.address, "nobody@example.test"])
                    + QMTPPackage.qmtp("\n" + large, to: [reader.address]))
            let replies = try await connection.netstrings(3)
            #expect(replies.map { $0.hasPrefix("D552 5.3.4 ") } == [true, true, false], "\(replies)")
            #expect(isAccepted(replies[2]))
            let messages = try await cluster.messages(reader)
            #expect(messages.count == 1)
            #expect(messages.first?.hasSuffix(large.replacing("\n", with: "\r\n")) == true)
        }

        @Test("Messages that are coming in share the memory: what does not fit is put off, and room comes back")
        func memory() async throws {
            let reader = try await cluster.makeAccount()
            let line = String(repeating: "0123456789", count: 7) + "\n"
            let package = QMTPPackage.qmtp("\n" + String(repeating: line, count: 700_000 / 72), to: [reader.address])
            let held = try connect()
            try await held.send(package.dropLast())
            let other = try connect()
            for _ in 0..<10 {
                try await other.send(QMTPPackage.qmtp("\n" + text("small"), to: [reader.address]))
                #expect(isAccepted(try await other.netstring()))
            }
            var reply = ""
            for _ in 0..<200 where !reply.hasPrefix("Z") {
                let late = try connect()
                try await late.send(package)
                reply = try await late.netstring()
            }
            #expect(reply.hasPrefix("Z452 4.3.1 "), "\(reply)")
            try await held.send(",")
            #expect(isAccepted(try await held.netstring()))
            try await other.send(package)
            #expect(isAccepted(try await other.netstring()))
        }

        @Test("A client that leaves in the middle leaves nothing behind", arguments: [100, 120_000])
        func earlyClose(size: Int) async throws {
            let reader = try await cluster.makeAccount()
            let package = QMTPPackage.qmtp("\n" + String(repeating: "x\n", count: size / 2), to: [reader.address])
            for missing in [1, reader.address.utf8.count + 6, 40] {
                try await connect().send(package.dropLast(missing))
            }
            let connection = try connect()
            try await connection.send(package.dropLast(1))
            try await connection.send(",")
            #expect(isAccepted(try await connection.netstring()))
            #expect(try await cluster.messageCount(reader) == 1)
        }

        @Test(
            "What is no QMTP ends the connection with a temporary answer",
            arguments: ["EHLO client\r\n", "2:\nx;", "0:,"])
        func violation(words: String) async throws {
            let connection = try connect()
            try await connection.send(words)
            #expect(try await connection.netstring().hasPrefix("Z451 4.5.0 "))
            #expect(try await connection.rest() == "")
        }

        @Test("A recipient that the message was delivered to before is refused, the others have it")
        func loops() async throws {
            let (one, other) = (try await cluster.makeAccount(), try await cluster.makeAccount())
            for padding in ["", String(repeating: "0123456789\n", count: 20_000)] {
                let connection = try connect()
                let message = "Delivered-To: \(one.address)\n" + text("loop") + padding
                try await connection.send(QMTPPackage.qmtp("\n" + message, to: [one.address, other.address]))
                let replies = try await connection.netstrings(2)
                #expect(replies[0].hasPrefix("D554 5.4.6 ") && isAccepted(replies[1]), "\(replies)")
            }
            #expect(try await cluster.messageCount(one) == 0)
            #expect(try await cluster.messageCount(other) == 2)
        }

        @Test("A message that was received too often is refused")
        func hops() async throws {
            let reader = try await cluster.makeAccount()
            let connection = try connect()
            for (count, isTaken) in [(PackageListeners.receivedMax, true), (PackageListeners.receivedMax + 1, false)] {
                let header = String(repeating: "Received: by a\n", count: count)
                try await connection.send(QMTPPackage.qmtp("\n" + header + text("x"), to: [reader.address]))
                let reply = try await connection.netstring()
                #expect(reply.hasPrefix(isTaken ? "K250 " : "D554 5.4.6 "), "\(reply)")
            }
        }

        @Test("After too many messages, or too many unknown recipients, the connection is ended behind its answers")
        func ends() async throws {
            let reader = try await cluster.makeAccount()
            let package = QMTPPackage.qmtp("\n" + text("x"), to: [reader.address])
            let many = try connect()
            try await many.send(Array(repeatElement(package, count: PackageListeners.transactionsMax + 2).joined()))
            let replies = try await many.netstrings(PackageListeners.transactionsMax)
            #expect(replies.allSatisfy(isAccepted))
            #expect(try await many.netstring().hasPrefix("Z421 4.7.0 "))
            #expect(try await many.rest() == "")
            #expect(try await cluster.messageCount(reader) == PackageListeners.transactionsMax)

            let guesser = try connect()
            let names = (0...PackageListeners.refusedRecipientsMax).map { "guess\($0)@example.test" }
            try await guesser.send(QMTPPackage.qmtp("\n" + text("x"), to: names) + package)
            #expect(try await guesser.netstrings(names.count).allSatisfy { $0.hasPrefix("D550 5.1.1 ") })
            #expect(try await guesser.rest() == "")
        }

        @Test("Who says nothing is sent away, and a server that goes down finishes the message that has begun")
        func endings() async throws {
            #expect(try await connect().rest() == "")
            let reader = try await cluster.makeAccount()
            let package = QMTPPackage.qmtp("\n" + text("last"), to: [reader.address])
            let (idle, busy) = (try connect(), try connect())
            try await busy.send(QMTPPackage.qmtp("\n" + text("first"), to: [reader.address]) + package.prefix(30))
            #expect(isAccepted(try await busy.netstring()))
            try cluster.signal(SIGTERM, "smtp-a")
            #expect(try await idle.rest() == "")
            try await busy.send(package.dropFirst(30) + package)
            #expect(isAccepted(try await busy.netstring()))
            #expect(try await busy.rest() == "")
            #expect(try await cluster.ended("smtp-a") == 0)
            #expect(try await subjects(reader) == ["first", "last"])
            try await cluster.restart("smtp-a", [PackageListeners.qmtp])
        }

        @Test("While no storage node can be reached the answer is Z, and K when one is back")
        func outage() async throws {
            let nodes = TestCluster.storePorts
            let reader = try await cluster.makeAccount()
            let package = QMTPPackage.qmtp("\n" + text("x"), to: [reader.address])
            for node in nodes.keys { try await cluster.crash(node) }
            let down = try connect()
            try await down.send(package)
            let reply = try await down.netstring()
            #expect(reply.hasPrefix("Z4"), "\(reply)")
            for (node, ports) in nodes { try await cluster.restart(node, ports) }
            var answer = ""
            for _ in 0..<600 where !isAccepted(answer) {
                try await Task.sleep(for: .milliseconds(50))
                let connection = try connect()
                try await connection.send(package)
                answer = try await connection.netstring()
            }
            #expect(isAccepted(answer), "\(answer)")
            #expect(try await cluster.messageCount(reader) == 1)
        }
    }
}

/// The development cluster with listeners for QMTP and QMQP, and with small limits.
enum PackageListeners {
    static let qmtp = 2209
    /// For clients on this machine.
    static let qmqp = 2628
    /// For clients in 192.0.2.0/24, which come by a balancer.
    static let behindBalancer = 2629
    /// For clients elsewhere.
    static let closed = 2630

    static let messageBytesMax = 1 << 20
    static let receivedMax = 30
    static let transactionsMax = 20
    static let refusedRecipientsMax = 10

    static func add(_ configuration: String) -> String {
        let smtp = "      - {service: smtp, address: \"127.0.0.1:2525\"}\n"
        let more = """
                  - {service: qmtp, address: "127.0.0.1:\(qmtp)"}
                  - {service: qmqp, address: "127.0.0.1:\(qmqp)", clients: [192.0.2.1, 127.0.0.0/8]}
                  - {service: qmqp, address: "127.0.0.1:\(behindBalancer)", clients: [192.0.2.0/24], proxyFrom: [127.0.0.1]}
                  - {service: qmqp, address: "127.0.0.1:\(closed)", clients: [192.0.2.0/24]}

            """
        let limits = """

            smtp:
              idleTimeout: 15s
              qmtpBufferBytesMax: 1MiB
              limits:
                messageBytesMax: 1MiB
                receivedMax: \(receivedMax)
                transactionsMax: \(transactionsMax)
                refusedRecipientsMax: \(refusedRecipientsMax)

            """
        return configuration.replacing(smtp, with: smtp + more) + limits
    }
}
