import Foundation
import Testing

extension SystemTests {
    @Suite("Mail for elsewhere", .serialized, .timeLimit(.minutes(10)))
    struct OutboundTests {
        /// A cluster of two nodes that both own every queue, and a server elsewhere, at `SINK` in the relays' text.
        private func run(
            _ relays: String, _ dialect: MailSink.Dialect = .pipelining, more: String = "",
            _ body: (TestCluster, MailSink) async throws -> Void
        ) async throws {
            let sink = try await MailSink(dialect)
            defer { sink.stop() }
            let relays = relays.replacing("SINK", with: "localhost:\(sink.port)")
            let cluster = try await TestCluster.start(change: { _ in Self.configuration(relays, more) }) {
                try await $0.hauberk(["certs", "listener"])
                _ = try $0.home.write("password", "open sesame\n")
            }
            do {
                try await body(cluster, sink)
            } catch {
                await cluster.stop()
                throw error
            }
            await cluster.stop()
        }

        private static func configuration(_ relays: String, _ more: String) -> String {
            """
            cluster: {name: inside, partitions: 64, replicas: 2, durableCopies: 2}
            hostname: inside.example.test
            trust: {mode: local}
            authentication: {requireTLS: false}
            delivery: {connectTimeout: 1s, reconnectDelayMax: 500ms}
            \(more)
            frontends:
              - name: front
                tls: {certificate: certs/frontend.pem, key: certs/frontend.key}
                listeners:
                  - {service: smtp, address: "127.0.0.1:2525"}
                  - {service: submission, address: "127.0.0.1:5587"}
                  - {service: pop3, address: "127.0.0.1:1110"}
            nodes:
              - name: store-1
                lmtp: 127.0.0.1:2401
                pop3: 127.0.0.1:1101
              - name: store-2
                lmtp: 127.0.0.1:2402
                pop3: 127.0.0.1:1102
            relays:
              \(relays)
            """
        }

        private static let elsewhere =
            "- {name: elsewhere, domains: [elsewhere.test], addresses: [\"SINK\"], tls: none}"

        private func message(_ subject: String) -> String {
            "Message-ID: <same@example.test>\r\nSubject: \(subject)\r\n\r\n.dot\r\n..two\r\n\r\nGrüße\r\n"
        }

        private func send(
            _ subject: String, to recipients: [String], from sender: String, at cluster: TestCluster
        ) async throws -> String {
            let connection = try await cluster.smtp()
            _ = try await connection.say("MAIL FROM:<\(sender)>")
            for recipient in recipients {
                let reply = try await connection.say("RCPT TO:<\(recipient)>")
                guard reply.hasPrefix("250") else { return reply }
            }
            _ = try await connection.say("DATA")
            return try await connection.say(message(subject).replacing("\r\n.", with: "\r\n..") + ".")
        }

        /// Messages that wait for all relays.
        private func waiting(_ cluster: TestCluster) async throws -> Int {
            let rows = try await cluster.hauberk(["relay", "status", "--json"])
            return rows.matches(of: #/"messages"\s*:\s*(\d+)/#).reduce(0) { $0 + (Int($1.1) ?? 0) }
        }

        private func waitUntilEmpty(_ cluster: TestCluster) async throws {
            for _ in 0..<600 {
                if try await waiting(cluster) == 0 { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw TestCluster.Failed(
                description: "the queues never got empty: \(try await cluster.hauberk(["relay", "status"]))")
        }

        private func notices(_ account: TestCluster.Account, _ count: Int, at cluster: TestCluster) async throws
            -> [String]
        {
            for _ in 0..<600 {
                let messages = try await cluster.messages(account)
                if messages.count >= count { return messages }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw TestCluster.Failed(description: "\(account.address) never got \(count) messages")
        }

        @Test(
            "Each recipient's copy goes out once, byte for byte, with its envelope, in every protocol; then nothing waits"
        )
        func goesOut() async throws {
            let dialects: [MailSink.Dialect] = [.plain, .pipelining, .lmtp, .qmtp]
            var sinks: [MailSink.Dialect: MailSink] = [:]
            defer { for sink in sinks.values { sink.stop() } }
            var relays: [String] = []
            for dialect in dialects {
                let sink = try await MailSink(dialect)
                sinks[dialect] = sink
                let name = dialect == .lmtp || dialect == .qmtp ? dialect.rawValue : "smtp"
                relays.append(
                    "- {name: \(dialect), domains: [\(dialect).test], addresses: [\"localhost:\(sink.port)\"], tls: none, "
                        + "protocol: \(name)}")
            }
            try await run(relays.joined(separator: "\n  ")) { cluster, _ in
                for dialect in dialects {
                    // More recipients than SMTP must take (RFC 5321 §4.5.3.1.10) at most, all with one Message-ID.
                    let many = (0..<100).map { "reader\($0)@\(dialect).test" }
                    for (subject, recipients) in [("many", many), ("one", ["reader0@\(dialect).test"])] {
                        let reply = try await send(subject, to: recipients, from: "sender@example.org", at: cluster)
                        #expect(reply.hasPrefix("250"))
                    }
                    let sink = try #require(sinks[dialect])
                    try await sink.waitFor(101)
                    try await waitUntilEmpty(cluster)
                    let messages = try sink.messages()
                    #expect(messages.count == 101)
                    #expect(Set(messages.map(\.sender)) == ["sender@example.org"])
                    #expect(messages.map(\.recipient).sorted() == (many + ["reader0@\(dialect).test"]).sorted())
                    for got in messages {
                        let isOne = got.original == message("one")
                        #expect(isOne || got.original == message("many"))
                        #expect(!got.text.contains("Return-Path:") && !got.text.contains("Delivered-To:"))
                    }
                }
            }
        }

        @Test("Who is refused gets a notice, from whom nobody is told of; a deferred message waits until it is taken")
        func failures() async throws {
            try await run(Self.elsewhere) { cluster, sink in
                let author = try await cluster.makeAccount()
                for recipient in ["refused", "later", "bounced", "fine"] {
                    let reply = try await send(
                        recipient, to: ["\(recipient)@elsewhere.test"], from: author.address, at: cluster)
                    #expect(reply.hasPrefix("250"))
                }
                let notices = try await notices(author, 2, at: cluster)
                #expect(notices.allSatisfy { $0.hasPrefix("Return-Path: <>\r\n") })
                #expect(
                    notices.contains {
                        $0.contains(
                            "Final-Recipient: rfc822; refused@elsewhere.test\r\nAction: failed\r\nStatus: 5.1.1")
                    })
                #expect(
                    notices.contains {
                        $0.contains(
                            "Final-Recipient: rfc822; bounced@elsewhere.test\r\nAction: failed\r\nStatus: 5.7.1")
                    })
                #expect(notices.allSatisfy { $0.contains("multipart/report") && $0.contains(".dot\r\n..two\r\n") })
                try await sink.waitFor(1)
                while try await waiting(cluster) != 1 { try await Task.sleep(for: .milliseconds(50)) }
                try sink.open()
                #expect(try await cluster.hauberk(["relay", "flush", "elsewhere"]) == "1 messages waiting\n")
                #expect(try await sink.waitFor(2).map(\.recipient) == ["fine@elsewhere.test", "later@elsewhere.test"])
                try await waitUntilEmpty(cluster)
                #expect(try await cluster.messages(author).count == 2)
            }
        }

        @Test("What cannot be sent in its lifetime comes back: the server puts it off, or is not there at all")
        func tooOld() async throws {
            let relays = """
                - {name: elsewhere, domains: [elsewhere.test], addresses: [SINK], tls: none, lifetime: 2s}
                  - {name: away, domains: [.away.test], addresses: ["localhost:9"], lifetime: 2s}
                  - {name: fetched, domains: [fetched.test], users: [nobody@example.test], lifetime: 2s}
                """
            try await run(relays) { cluster, sink in
                let author = try await cluster.makeAccount()
                let recipients = ["later@elsewhere.test", "somebody@far.away.test", "somebody@fetched.test"]
                for recipient in recipients {
                    let reply = try await send("old", to: [recipient], from: author.address, at: cluster)
                    #expect(reply.hasPrefix("250"), "\(reply)")
                }
                // Its next try would be in 400 seconds.
                while try await cluster.messages(author).count < 3 {
                    try await cluster.hauberk(["relay", "flush", "elsewhere"])
                    try await Task.sleep(for: .milliseconds(500))
                }
                let notices = try await notices(author, 3, at: cluster)
                for recipient in recipients {
                    #expect(notices.contains { $0.contains("Final-Recipient: rfc822; \(recipient)") })
                }
                #expect(notices.allSatisfy { $0.contains("\r\nStatus: 4.") })
                try await waitUntilEmpty(cluster)
            }
        }

        @Test("A notice that cannot be delivered goes to the postmaster; if that fails too, nobody is told")
        func doubleBounce() async throws {
            for domains in ["[elsewhere.test, \"*\"]", "[elsewhere.test]"] {
                let relay = Self.elsewhere.replacing("[elsewhere.test]", with: domains)
                let more = "bounces: {postmaster: user1@example.test}\nsmtp: {relayFrom: [127.0.0.0/8]}"
                try await run(relay, more: more) { cluster, sink in
                    let postmaster = try await cluster.makeAccount()
                    // The sender is elsewhere: its notice is relayed and refused there, or refused by our own frontends.
                    let reply = try await send(
                        "lost", to: ["refused@elsewhere.test"], from: "refused@far.test", at: cluster)
                    #expect(reply.hasPrefix("250"))
                    let notices = try await notices(postmaster, 1, at: cluster)
                    #expect(notices[0].hasPrefix("Return-Path: <#@[]>\r\n"))
                    #expect(notices[0].contains("Final-Recipient: rfc822; refused@far.test"))
                    let last = try await send(
                        "last", to: ["refused@elsewhere.test"], from: "#@[]", at: cluster)
                    #expect(last.hasPrefix("250"))
                    try await waitUntilEmpty(cluster)
                    #expect(try sink.messages().isEmpty)
                    #expect(try await cluster.messages(postmaster).count == 1)
                }
            }
        }

        @Test("Anybody may send to a relay's own domains, but to the whole world only who has logged in")
        func whoMayRelay() async throws {
            let relays = """
                - {name: elsewhere, domains: [elsewhere.test, .below.test], addresses: [SINK], tls: none}
                  - {name: world, domains: ["*"], addresses: [SINK]}
                """
            try await run(relays) { cluster, sink in
                for recipient in ["a@elsewhere.test", "a@deep.below.test"] {
                    let reply = try await send("open", to: [recipient], from: "x@example.org", at: cluster)
                    #expect(reply.hasPrefix("250"))
                }
                for recipient in ["a@below.test", "a@world.test", "a@not-elsewhere.test"] {
                    let reply = try await send("closed", to: [recipient], from: "x@example.org", at: cluster)
                    #expect(reply.hasPrefix("550 5.7.1"), "\(reply)")
                }
                let author = try await cluster.makeAccount()
                let submission = try await cluster.smtp(5587)
                let login = Data("\0\(author.address)\0\(author.password)".utf8).base64EncodedString()
                #expect(try await submission.say("AUTH PLAIN \(login)").hasPrefix("235"))
                let reply = try await submission.deliver(message("user"), to: ["a@world.test", author.address])
                #expect(reply.hasPrefix("250"))
                let got = try await sink.waitFor(3)
                #expect(Set(got.map(\.recipient)) == ["a@elsewhere.test", "a@deep.below.test", "a@world.test"])
                #expect(try await notices(author, 1, at: cluster)[0].contains("Subject: user"))
            }
        }

        @Test(
            "A message has at most 128 recipients elsewhere; the others are told to come again (RFC 5321 §4.5.3.1.10)")
        func recipientsMax() async throws {
            try await run(Self.elsewhere, more: "smtp: {limits: {recipientsMax: 1000}}") { cluster, _ in
                let connection = try await cluster.smtp()
                _ = try await connection.say("MAIL FROM:<sender@example.org>")
                for number in 0..<128 {
                    #expect(try await connection.say("RCPT TO:<r\(number)@elsewhere.test>").hasPrefix("250"))
                }
                #expect(try await connection.say("RCPT TO:<r0@elsewhere.test>").hasPrefix("250"))
                #expect(try await connection.say("RCPT TO:<r128@elsewhere.test>").hasPrefix("452 4.5.3"))
            }
        }

        @Test("Nodes that are killed lose nothing, and what went out before, or is sent to us again, goes out once")
        func crashes() async throws {
            try await run(Self.elsewhere) { cluster, sink in
                let first = (0..<20).map { "first\($0)@elsewhere.test" }
                _ = try await send("first", to: first, from: "x@example.org", at: cluster)
                try await sink.waitFor(20)
                try await waitUntilEmpty(cluster)
                // What the first owner sent, the second one, which was there, must know.
                try await cluster.crash("store-1")
                let later = (0..<20).map { "second\($0)@elsewhere.test" }
                // Two copies cannot be had now, but each try may leave one, which is sent.
                for _ in 0..<3 {
                    let reply = try await send("second", to: later, from: "x@example.org", at: cluster)
                    #expect(reply.hasPrefix("45"), "\(reply)")
                }
                try await cluster.restart("store-1", [2401, 1101])
                var reply = ""
                while !reply.hasPrefix("250") {
                    try await Task.sleep(for: .milliseconds(100))
                    reply = try await send("second", to: later, from: "x@example.org", at: cluster)
                }
                try await sink.waitFor(40)
                try await waitUntilEmpty(cluster)
                try await cluster.crash("store-2")
                try await cluster.restart("store-2", [2402, 1102])
                _ = try await send("third", to: ["third@elsewhere.test"], from: "x@example.org", at: cluster)
                try await sink.waitFor(41)
                try await waitUntilEmpty(cluster)
                #expect(
                    try sink.messages().map(\.recipient).sorted() == (first + later + ["third@elsewhere.test"]).sorted()
                )
            }
        }

        @Test("On a schedule or on request, mail waits until it is time, or until somebody asks")
        func triggers() async throws {
            let relays = """
                - {name: asked, domains: [asked.test], addresses: [SINK], tls: none, trigger: on-request}
                  - {name: timed, domains: [timed.test], addresses: [SINK], tls: none, trigger: scheduled, interval: 5s}
                """
            try await run(relays) { cluster, sink in
                for name in ["one", "two"] {
                    _ = try await send(name, to: ["a@asked.test"], from: "x@example.org", at: cluster)
                    _ = try await send(name, to: ["a@timed.test"], from: "x@example.org", at: cluster)
                }
                #expect(try await sink.waitFor(2).allSatisfy { $0.recipient == "a@timed.test" })
                #expect(try await cluster.hauberk(["relay", "flush", "asked"]) == "2 messages waiting\n")
                let got = try await sink.waitFor(4)
                #expect(got.count { $0.recipient == "a@asked.test" } == 2)
                try await waitUntilEmpty(cluster)
                // What comes while it is being sent goes too.
                try await Task.sleep(for: .seconds(3))
                _ = try await send("three", to: ["a@asked.test"], from: "x@example.org", at: cluster)
                _ = try await send("three", to: ["a@timed.test"], from: "x@example.org", at: cluster)
                #expect(try await sink.waitFor(5).last?.recipient == "a@timed.test")
                #expect(try await cluster.hauberk(["relay", "flush", "asked"]) == "1 messages waiting\n")
                try await sink.waitFor(6)
            }
        }

        private static let turned = """
            - {name: sent, domains: [sent.test, deep.sent.test], addresses: [SINK], tls: none, trigger: on-request, users: [user1@example.test]}
              - {name: visited, domains: [visited.test], addresses: [SINK], tls: none, trigger: on-request, turnFrom: [127.0.0.2]}
              - {name: asked, domains: [asked.test], addresses: [SINK], tls: none, trigger: on-request, turnFrom: [127.0.0.1]}
              - {name: fetched, domains: [fetched.test], users: [user1@example.test]}
            """

        private func login(_ account: TestCluster.Account, at cluster: TestCluster) async throws -> RawConnection {
            let connection = try await cluster.smtp(5587)
            let login = Data("\0\(account.address)\0\(account.password)".utf8).base64EncodedString()
            #expect(try await connection.say("AUTH PLAIN \(login)").hasPrefix("235"))
            return connection
        }

        @Test("RFC 1985: ETRN has waiting mail sent, for those who may; a visit of the right address does so too")
        func etrn() async throws {
            try await run(Self.turned) { cluster, sink in
                let (owner, other) = (try await cluster.makeAccount(), try await cluster.makeAccount())
                let session = try await login(owner, at: cluster)
                #expect(try await session.say("ETRN sent.test").hasPrefix("251"))
                for number in 0..<3 {
                    _ = try await send("\(number)", to: ["a@sent.test"], from: "x@example.org", at: cluster)
                }
                _ = try await send("visit", to: ["a@visited.test"], from: "x@example.org", at: cluster)
                for (line, code) in [
                    ("nowhere.test", "459"), ("visited.test", "459"), ("#fetched", "458"), ("#sent x", "501"),
                ] {
                    let reply = try await session.say("ETRN \(line)")
                    #expect(reply.hasPrefix(code), "ETRN \(line): \(reply)")
                }
                let stranger = try await login(other, at: cluster)
                #expect(try await stranger.say("ETRN sent.test").hasPrefix("459"))
                #expect(try await cluster.smtp().say("ETRN sent.test").hasPrefix("459"))
                #expect(try await cluster.smtp().say("ETRN visited.test").hasPrefix("459"))
                #expect(try sink.messages().isEmpty)
                #expect(
                    try await session.say("ETRN @sent.test")
                        == "253 2.0.0 3 pending messages for node @sent.test started")
                try await sink.waitFor(3)
                // fetchmail asks from an address that needs no login.
                for number in 3..<5 {
                    _ = try await send("\(number)", to: ["a@asked.test"], from: "x@example.org", at: cluster)
                }
                let asked = try await Peer.fetchmail.run(
                    [
                        "-f", "/dev/null", "-v", "-p", "ETRN", "--service", "\(cluster.port(2525))", "--fetchdomains",
                        "asked.test", "--nodetach", "--sslproto", "", "127.0.0.1",
                    ], environment: ["FETCHMAILHOME": cluster.home.path])
                #expect(asked.status == 0, "\(asked.outputText)\(asked.errors)")
                try await sink.waitFor(5)
                // The other relay's mail goes when its own client has been here.
                let script = """
                    import smtplib
                    client = smtplib.SMTP("127.0.0.1", \(cluster.port(2525)), source_address=("127.0.0.2", 0))
                    client.noop()
                    client.quit()
                    """
                #expect(try await Tree.python(["-c", script]).status == 0)
                #expect(try await sink.waitFor(6).last?.recipient == "a@visited.test")
            }
        }

        @Test(
            "RFC 2645: ATRN turns the connection round, and what is fetched is gone; what is refused comes back to its sender"
        )
        func atrn() async throws {
            try await run(Self.turned) { cluster, _ in
                let (owner, other) = (try await cluster.makeAccount(), try await cluster.makeAccount())
                let session = try await login(owner, at: cluster)
                #expect(try await session.say("ATRN fetched.test").hasPrefix("453"))
                for name in ["a", "b", "refused", "later"] {
                    _ = try await send(name, to: ["\(name)@fetched.test"], from: other.address, at: cluster)
                }
                #expect(try await session.say("ATRN sent.test").hasPrefix("450"))
                #expect(try await login(other, at: cluster).say("ATRN").hasPrefix("450"))
                #expect(try await session.say("ATRN fetched.test").hasPrefix("250"))
                let first = try await serve(session)
                #expect(first.map(\.recipient).sorted() == ["a@fetched.test", "b@fetched.test"])
                for message in first {
                    #expect(message.original == self.message(String(message.recipient.first ?? " ")))
                }
                let notice = try await notices(other, 1, at: cluster)
                #expect(notice[0].contains("Final-Recipient: rfc822; refused@fetched.test"))
                // Who was put off is there the next time, and nobody else is.
                let again = try await login(owner, at: cluster)
                #expect(try await again.say("ATRN").hasPrefix("250"))
                #expect(try await serve(again, takesLater: true).map(\.recipient) == ["later@fetched.test"])
                try await waitUntilEmpty(cluster)
                #expect(try await login(owner, at: cluster).say("ATRN").hasPrefix("453"))
            }
        }

        /// Is the server on a connection that was turned round, until the other side quits.
        private func serve(_ connection: RawConnection, takesLater: Bool = false) async throws -> [MailSink.Message] {
            var messages: [MailSink.Message] = []
            var (sender, recipient) = ("", "")
            try await connection.send("220 fetcher.test\r\n")
            while let line = try await connection.line() {
                let address = line.firstMatch(of: #/<(.*?)>/#).map { String($0.1) } ?? ""
                switch line.prefix(4).uppercased() {
                case "EHLO", "RSET": try await connection.send("250 fetcher.test\r\n")
                case "MAIL":
                    sender = address
                    try await connection.send("250 fine\r\n")
                case "RCPT":
                    recipient = address
                    let isLater = address.hasPrefix("later") && !takesLater
                    let reply = isLater ? "451 later" : address.hasPrefix("refused") ? "550 5.1.1 nobody" : "250 fine"
                    try await connection.send(reply + "\r\n")
                case "DATA":
                    try await connection.send("354 go on\r\n")
                    var text = ""
                    while let line = try await connection.line(), line != "." {
                        text += (line.hasPrefix(".") ? String(line.dropFirst()) : line) + "\r\n"
                    }
                    messages.append(MailSink.Message(sender: sender, recipient: recipient, bytes: Array(text.utf8)))
                    try await connection.send("250 taken\r\n")
                case "QUIT":
                    try await connection.send("221 bye\r\n")
                    return messages
                default: try await connection.send("502 not here\r\n")
                }
            }
            throw TestCluster.Failed(description: "the connection ended without QUIT")
        }
    }
}
