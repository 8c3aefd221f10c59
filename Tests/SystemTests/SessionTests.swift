import Foundation
import Testing

extension SystemTests {
    @Suite("Sessions over one mailbox", .cluster)
    struct SessionTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        /// An account with `count` messages.
        private func reader(_ count: Int, options: [String] = []) async throws -> TestCluster.Account {
            let reader = try await cluster.makeAccount(options: options)
            for number in 0..<count {
                let reply = try await cluster.deliver("Subject: \(number + 1)\r\n\r\ntext\r\n", to: reader)
                try #require(reply.hasPrefix("250"), "\(reply)")
            }
            return reader
        }

        @Test("RFC 1939 §3: a session's maildrop is steady; what another session removed is -ERR, and it goes on")
        func twoSessions() async throws {
            let reader = try await reader(3)
            let first = try await cluster.login(reader, port: 1110)
            let second = try await cluster.login(reader, port: 1111)
            let names = try await second.listing("UIDL")
            #expect(try await first.listing("UIDL") == names)
            #expect(try await first.ask("DELE 2").hasPrefix("+OK"))
            #expect(try await first.ask("QUIT").hasPrefix("+OK"))
            _ = try await cluster.deliver("Subject: late\r\n\r\n", to: reader)

            #expect(try await second.listing("UIDL") == names)
            #expect(try await second.listing("LIST").count == 3)
            #expect(try await second.ask("RETR 2").hasPrefix("-ERR"))
            #expect(try await second.retrieve(3).isEmpty == false)
            #expect(try await second.ask("DELE 2").hasPrefix("+OK"))
            #expect(try await second.ask("DELE 1").hasPrefix("+OK"))
            #expect(try await second.ask("QUIT").hasPrefix("+OK"))
            let left = try await cluster.login(reader)
            #expect(try await left.listing("UIDL").count == 2)
            #expect(String(decoding: try await left.retrieve(2), as: UTF8.self).contains("Subject: late"))
        }

        @Test("RFC 1939 §6: a connection that is dropped without QUIT deletes nothing")
        func dropped() async throws {
            let reader = try await reader(2)
            for port in [1110, 1111] {
                let session = try await cluster.login(reader, port: port)
                #expect(try await session.ask("DELE 1").hasPrefix("+OK"))
                #expect(try await session.ask("STAT").hasPrefix("+OK 1 "))
            }
            #expect(try await cluster.messages(reader).count == 2)
        }

        @Test("RFC 1460 §5: LAST tells the highest message number that was read, and starts at 0 in each session")
        func last() async throws {
            let reader = try await reader(3)
            for _ in 0..<2 {
                let session = try await cluster.login(reader)
                #expect(try await session.ask("LAST") == "+OK 0")
                _ = try await session.retrieve(2)
                #expect(try await session.ask("LAST") == "+OK 2")
                #expect(try await session.ask("DELE 3").hasPrefix("+OK"))
                #expect(try await session.ask("LAST") == "+OK 3")
                #expect(try await session.ask("RSET").hasPrefix("+OK"))
                #expect(try await session.ask("LAST") == "+OK 0")
            }
        }

        @Test("RFC 1939 §7: APOP logs in an account that has a secret for it, and no other")
        func apop() async throws {
            let able = try await reader(1, options: ["--apop"])
            let unable = try await reader(1)
            let script = """
                import poplib, socket, sys
                port, *accounts = sys.argv[1:]
                class Session(poplib.POP3):
                    def _create_socket(self, timeout):
                        return socket.create_connection((self.host, self.port), 60, ("127.0.0.6", 0))
                for number in (0, 2):
                    session = Session("127.0.0.1", int(port))
                    try:
                        print(session.apop(accounts[number], accounts[number + 1]).decode()[:3], session.stat()[0])
                    except poplib.error_proto as error:
                        print(str(error)[2:13])
                    session.close()
                """
            let outcome = try await Tree.python([
                "-c", script, "\(cluster.port(1110))", able.address, able.password, unable.address, unable.password,
            ])
            #expect(outcome.outputText == "+OK 1\n-ERR [AUTH]\n", "\(outcome.errors)")
        }

        /// Whatever a message is like: by DATA what can be sent so, by BDAT the rest.
        static let odd: [(name: String, text: [UInt8])] = [
            ("dots", Array("Subject: dots\r\n\r\n.\r\n..\r\n...x\r\n.y\r\n.\r\n".utf8)),
            ("8-bit", Array("Subject: 8-bit\r\n\r\n".utf8) + (128...255).map { UInt8($0) } + [0x0D, 0x0A]),
            ("long line", Array(("Subject: long\r\n\r\n" + String(repeating: "x", count: 70_000) + "\r\n").utf8)),
            ("no last line end", Array("Subject: open\r\n\r\nends here".utf8)),
            ("no text", Array("Subject: none\r\n\r\n".utf8)),
            ("no header", Array("\r\nonly text\r\n".utf8)),
            ("empty", []),
            ("empty lines", Array("Subject: e\r\n\r\n\r\n\r\n\r\n".utf8)),
        ]

        @Test("LIST, UIDL and RETR say the same at every frontend, octet for octet", arguments: odd.map(\.name))
        func octets(name: String) async throws {
            let text = try #require(Self.odd.first { $0.name == name }).text
            let reader = try await cluster.makeAccount()
            let connection = try await cluster.smtp()
            _ = try await connection.say("MAIL FROM:<a@example.org> BODY=8BITMIME")
            _ = try await connection.say("RCPT TO:<\(reader.address)>")
            try await connection.send(Array("BDAT \(text.count) LAST\r\n".utf8) + text)
            #expect(try await connection.reply()?.hasPrefix("250") == true)
            let lineEnd = text.isEmpty || text.last == 0x0A ? [] : Array("\r\n".utf8)
            var names: Set<[String]> = []
            for port in [1110, 1111] {
                let session = try await cluster.login(reader, port: port)
                let message = try await session.retrieve(1)
                #expect(message.suffix(text.count + lineEnd.count).elementsEqual(text + lineEnd))
                #expect(try await session.listing("LIST") == ["1 \(message.count)"])
                #expect(try await session.ask("STAT") == "+OK 1 \(message.count)")
                names.insert(try await session.listing("UIDL"))
            }
            #expect(names.count == 1)
        }

        @Test("A message that another tool put into new/ is listed with its exact octets")
        func foreignMessage() async throws {
            let reader = try await reader(1)
            let folder = try await cluster.place(of: reader.address).folder
            let text = "Subject: foreign\n\n.dot\nGrüße\n"
            let file = folder + "/new/9999999999.1234_5.other.example.org"
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/tmp/x"))
            try FileManager.default.moveItem(atPath: folder + "/tmp/x", toPath: file)
            let wire = text.replacing("\n", with: "\r\n")
            for port in [1110, 1111] {
                let session = try await cluster.login(reader, port: port)
                #expect(try await session.listing("LIST").last == "2 \(wire.utf8.count)")
                #expect(try await session.listing("UIDL").last == "2 9999999999.1234_5.other.example.org")
                #expect(try await session.retrieve(2).elementsEqual(wire.utf8))
            }
            // As a mail reader does that has seen it.
            try FileManager.default.moveItem(
                atPath: file, toPath: folder + "/cur/9999999999.1234_5.other.example.org:2,S")
            let session = try await cluster.login(reader)
            #expect(try await session.listing("UIDL").last == "2 9999999999.1234_5.other.example.org")
            #expect(try await session.ask("DELE 2").hasPrefix("+OK"))
            #expect(try await session.ask("QUIT").hasPrefix("+OK"))
            #expect(try await cluster.messages(reader).count == 1)
        }

        @Test("RFC 5802: a wrong SCRAM proof is refused, and slows down the next login from its address")
        func scram() async throws {
            let guessed = try await reader(0)
            let own = try await reader(0)
            let script = """
                import base64, hashlib, hmac, socket, sys, time
                port, guessed, own, password = sys.argv[1:]
                def connect():
                    raw = socket.create_connection(("127.0.0.1", int(port)), 60, ("127.0.0.7", 0))
                    stream = raw.makefile("rw", newline="")
                    stream.readline()
                    return stream
                def ask(stream, line):
                    stream.write(line + "\\r\\n")
                    stream.flush()
                    return stream.readline().rstrip()
                def scram(user, password):
                    stream = connect()
                    first = "n=%s,r=abcdefghijklmnopqrst" % user
                    answer = ask(stream, "AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,," + first.encode()).decode())
                    assert answer.startswith("+ "), answer
                    challenge = base64.b64decode(answer[2:]).decode()
                    fields = dict(field.split("=", 1) for field in challenge.split(","))
                    salted = hashlib.pbkdf2_hmac(
                        "sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
                    key = hmac.digest(salted, b"Client Key", "sha256")
                    final = "c=biws,r=" + fields["r"]
                    known = ",".join((first, challenge, final)).encode()
                    mask = hmac.digest(hashlib.sha256(key).digest(), known, "sha256")
                    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, mask))).decode()
                    answer = ask(stream, base64.b64encode((final + ",p=" + proof).encode()).decode())
                    return ask(stream, "") if answer.startswith("+ ") else answer
                print(scram(own, password)[:3])
                print(scram(guessed, "not the password")[:11])
                began = time.monotonic()
                stream = connect()
                ask(stream, "USER " + own)
                print(ask(stream, "PASS " + password)[:3], time.monotonic() - began > 0.9)
                """
            let outcome = try await Tree.python([
                "-c", script, "\(cluster.port(1110))", guessed.address, own.address, own.password,
            ])
            #expect(outcome.outputText == "+OK\n-ERR [AUTH]\n+OK True\n", "\(outcome.outputText)\(outcome.errors)")
        }
    }
}
