import Foundation
import Testing

extension SystemTests {
    @Suite("Messages of many kinds", .cluster { MessageListeners.add($0) })
    struct TransactionTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        @Test("RFC 2033 §4.2: LMTP has a reply for each recipient that was accepted, in their order")
        func lmtp() async throws {
            let readers = [try await cluster.makeAccount(on: "store-1"), try await cluster.makeAccount(on: "store-2")]
            let connection = try RawConnection(port: cluster.port(2424))
            _ = try await connection.reply()
            #expect(try await connection.say("LHLO client.example.org").hasPrefix("250"))
            #expect(try await connection.say("MAIL FROM:<a@example.org>").hasPrefix("250"))
            #expect(try await connection.say("RCPT TO:<\(readers[0].address)>").hasPrefix("250"))
            #expect(try await connection.say("RCPT TO:<nobody@example.test>").hasPrefix("550 5.1.1"))
            #expect(try await connection.say("RCPT TO:<\(readers[1].address)>").hasPrefix("250"))
            #expect(try await connection.say("DATA").hasPrefix("354"))
            #expect(try await connection.say("Subject: three\r\n\r\ntext\r\n.").hasPrefix("250"))
            #expect(try await connection.reply()?.hasPrefix("250") == true)
            #expect(try await connection.say("NOOP").hasPrefix("250 2.0.0"))
            for reader in readers { #expect(try await cluster.messages(reader).count == 1) }
        }

        @Test("RFC 6531: an address and a header in UTF-8 come through")
        func utf8() async throws {
            let reader = TestCluster.Account(address: "jürgen@example.test", password: "geheim")
            try await cluster.add(reader, options: [])
            let connection = try await cluster.smtp()
            #expect(try await connection.say("MAIL FROM:<ü@example.org> BODY=8BITMIME SMTPUTF8").hasPrefix("250"))
            #expect(try await connection.say("RCPT TO:<\(reader.address)>").hasPrefix("250"))
            #expect(try await connection.say("DATA").hasPrefix("354"))
            #expect(try await connection.say("Subject: Grüße\r\n\r\nÄÖÜ\r\n.").hasPrefix("250"))
            let session = try RawConnection(port: cluster.port(1111))
            _ = try await session.line()
            #expect(try await session.ask("UTF8").hasPrefix("+OK"))
            #expect(try await session.login(reader).hasPrefix("+OK"))
            let message = String(decoding: try await session.retrieve(1), as: UTF8.self)
            #expect(message.hasPrefix("Return-Path: <ü@example.org>\r\nDelivered-To: jürgen@example.test\r\n"))
            #expect(message.contains("with UTF8SMTP"), "\(message)")
            #expect(message.hasSuffix("\r\nSubject: Grüße\r\n\r\nÄÖÜ\r\n"))
        }

        @Test("One message to 100 recipients on three nodes is there 100 times")
        func hundredRecipients() async throws {
            var readers: [TestCluster.Account] = []
            for _ in 0..<100 { readers.append(try await cluster.makeAccount()) }
            let reply = try await cluster.smtp().deliver("Subject: all\r\n\r\ntext\r\n", to: readers.map(\.address))
            #expect(reply.hasPrefix("250"), "\(reply)")
            for reader in readers {
                let messages = try await cluster.messages(reader)
                #expect(messages.count == 1)
                #expect(messages.first?.contains("Delivered-To: \(reader.address)\r\n") == true)
                // Nobody learns of the others.
                #expect(messages.first?.contains("for <") == false)
            }
        }

        @Test("A message that has been here, or nearly everywhere, is in a loop: 554 5.4.6")
        func loops() async throws {
            let reader = try await cluster.makeAccount()
            let before = "Delivered-To: \(reader.address)\r\nSubject: again\r\n\r\n"
            #expect(try await cluster.deliver(before, to: reader).hasPrefix("554 5.4.6"))
            let other = "Delivered-To: somebody@example.test\r\nSubject: first time\r\n\r\n"
            #expect(try await cluster.deliver(other, to: reader).hasPrefix("250"))
            let hop = "Received: from a.example by b.example; Thu, 1 Jan 2026 00:00:00 +0000\r\n"
            let far = String(repeating: hop, count: 101) + "Subject: far\r\n\r\n"
            #expect(try await cluster.deliver(far, to: reader).hasPrefix("554 5.4.6"))
            let nearly = String(repeating: hop, count: 100) + "Subject: nearly\r\n\r\n"
            #expect(try await cluster.deliver(nearly, to: reader).hasPrefix("250"))
            #expect(try await cluster.messages(reader).count == 2)
        }

        /// Sends a message of so many octets to one account, and reads it back at once.
        private static let script = """
            import poplib, socket, sys
            smtp, pop3, user, password, octets, form = sys.argv[1:]
            line = b".dots and Gr\\xc3\\xbc\\xc3\\x9fe " + b"x" * 950 + b"\\r\\n.\\r\\n"
            body = b"Subject: large\\r\\n\\r\\n" + line * (int(octets) // len(line))
            stream = socket.create_connection(("127.0.0.1", int(smtp)), 120)
            reader = stream.makefile("rb")
            def reply():
                while (answer := reader.readline())[3:4] == b"-": pass
                return answer.decode().strip()
            reply()
            for command in ("EHLO client.example.org", "MAIL FROM:<a@example.org> BODY=8BITMIME", f"RCPT TO:<{user}>"):
                stream.sendall(command.encode() + b"\\r\\n")
                assert reply().startswith("250 ")
            if form == "BDAT":
                stream.sendall(b"BDAT %d LAST\\r\\n" % len(body) + body)
            else:
                stream.sendall(b"DATA\\r\\n")
                assert reply().startswith("354 ")
                stream.sendall(body.replace(b"\\r\\n.", b"\\r\\n..") + b".\\r\\n")
            answer = reply()
            assert answer.startswith("250 "), answer
            session = socket.create_connection(("127.0.0.1", int(pop3)), 120)
            lines = session.makefile("rb")
            lines.readline()
            for command in (f"USER {user}", f"PASS {password}", "LIST 1", "RETR 1"):
                session.sendall(command.encode() + b"\\r\\n")
                answer = lines.readline()
                assert answer.startswith(b"+OK"), answer
                if command == "LIST 1": size = int(answer.split()[2])
            text = bytearray()
            while not text.endswith(b"\\r\\n.\\r\\n"):
                piece = lines.read1(1 << 20)
                assert piece
                text += piece
            text = bytes(text[:-3]).replace(b"\\r\\n..", b"\\r\\n.")
            assert len(text) == size, (len(text), size)
            assert text.endswith(b"\\r\\n" + body)
            """

        @Test(
            "A message of 40 MiB goes in and out, byte for byte, and costs no process 24 MiB",
            arguments: ["DATA", "BDAT"])
        func large(form: String) async throws {
            // What a first large message needs once and for all is no growth.
            try await transfer(octets: 2 << 20, form)
            let before = try cluster.nodes.map { try ProcessMemory(cluster.processNumber($0)).resetPeak() }
            try await transfer(octets: 40 << 20, form)
            for (name, start) in zip(cluster.nodes, before) {
                let growth = try ProcessMemory(cluster.processNumber(name)).peakKilobytes() - start
                #expect(growth < 24 << 10, "\(name) grew by \(growth) KiB")
            }
        }

        private func transfer(octets: Int, _ form: String) async throws {
            let reader = try await cluster.makeAccount()
            let outcome = try await Tree.python([
                "-c", Self.script, "\(cluster.port(2525))", "\(cluster.port(1110))", reader.address, reader.password,
                "\(octets)", form,
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
    }
}

/// The development cluster, and LMTP for clients.
private enum MessageListeners {
    static func add(_ configuration: String) -> String {
        let submission = #"      - {service: submission, address: "127.0.0.1:5587"}"#
        return configuration.replacing(
            submission, with: submission + "\n" + #"      - {service: lmtp, address: "127.0.0.1:2424"}"#)
    }
}
