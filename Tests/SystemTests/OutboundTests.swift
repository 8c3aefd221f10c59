import Foundation
import Testing

extension SystemTests {
    @Suite("Mail for elsewhere", .serialized, .timeLimit(.minutes(10)))
    struct OutboundTests {
        private static let elsewhere =
            "- {name: elsewhere, domains: [elsewhere.test], addresses: [\"SINK\"], tls: none}"

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
            try await TestRelays.run(relays.joined(separator: "\n  ")) { cluster, _ in
                for dialect in dialects {
                    // More recipients than SMTP must take (RFC 5321 §4.5.3.1.10) at most, all with one Message-ID.
                    let many = (0..<100).map { "reader\($0)@\(dialect).test" }
                    for (subject, recipients) in [("many", many), ("one", ["reader0@\(dialect).test"])] {
                        let reply = try await cluster.send(subject, to: recipients, from: "sender@example.org")
                        #expect(reply.hasPrefix("250"))
                    }
                    let sink = try #require(sinks[dialect])
                    try await sink.waitFor(101)
                    try await cluster.waitUntilRelayed()
                    let messages = try sink.messages()
                    #expect(messages.count == 101)
                    #expect(Set(messages.map(\.sender)) == ["sender@example.org"])
                    #expect(messages.map(\.recipient).sorted() == (many + ["reader0@\(dialect).test"]).sorted())
                    for got in messages {
                        let isOne = got.original == TestRelays.message("one")
                        #expect(isOne || got.original == TestRelays.message("many"))
                        #expect(!got.text.contains("Return-Path:") && !got.text.contains("Delivered-To:"))
                    }
                }
                // QMTP has no quotes.
                let reply = try await cluster.send("quoted", to: ["\"john doe\"@qmtp.test"], from: "\"a b\"@c.test")
                #expect(reply.hasPrefix("250"), "\(reply)")
                let sink = try #require(sinks[.qmtp])
                try await sink.waitFor(102)
                let quoted = try sink.messages().first { $0.recipient == "john doe@qmtp.test" }
                #expect(quoted?.sender == "a b@c.test")
            }
        }

        @Test("Who is refused gets a notice, from whom nobody is told of; a deferred message waits until it is taken")
        func failures() async throws {
            try await TestRelays.run(Self.elsewhere) { cluster, sink in
                let author = try await cluster.makeAccount()
                for recipient in ["refused", "later", "bounced", "fine"] {
                    let reply = try await cluster.send(
                        recipient, to: ["\(recipient)@elsewhere.test"], from: author.address)
                    #expect(reply.hasPrefix("250"))
                }
                let notices = try await cluster.waitForMessages(author, 2)
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
                while try await cluster.waitingForRelays() != 1 { try await Task.sleep(for: .milliseconds(50)) }
                try sink.open()
                #expect(try await cluster.hauberk(["relay", "flush", "elsewhere"]) == "1 messages waiting\n")
                #expect(try await sink.waitFor(2).map(\.recipient) == ["fine@elsewhere.test", "later@elsewhere.test"])
                try await cluster.waitUntilRelayed()
                #expect(try await cluster.messages(author).count == 2)
            }
        }

        @Test("What cannot be sent in its lifetime comes back: the server puts it off, or is not there at all")
        func tooOld() async throws {
            let relays = """
                - {name: elsewhere, domains: [elsewhere.test], addresses: [SINK], tls: none, lifetime: 2s}
                  - {name: away, domains: [.away.test], addresses: ["localhost:9"], lifetime: 6s}
                  - {name: fetched, domains: [fetched.test], users: [nobody@example.test], lifetime: 2s}
                """
            try await TestRelays.run(relays) { cluster, sink in
                let author = try await cluster.makeAccount()
                let recipients = ["later@elsewhere.test", "somebody@far.away.test", "somebody@fetched.test"]
                for recipient in recipients {
                    let reply = try await cluster.send("old", to: [recipient], from: author.address)
                    #expect(reply.hasPrefix("250"), "\(reply)")
                }
                // Its next try would be in 400 seconds.
                while try await cluster.messages(author).count < 3 {
                    try await cluster.hauberk(["relay", "flush", "elsewhere"])
                    try await Task.sleep(for: .milliseconds(500))
                }
                let notices = try await cluster.waitForMessages(author, 3)
                for recipient in recipients {
                    #expect(notices.contains { $0.contains("Final-Recipient: rfc822; \(recipient)") })
                }
                #expect(notices.allSatisfy { $0.contains("\r\nStatus: 4.") })
                try await cluster.waitUntilRelayed()
            }
        }

        @Test("A notice that cannot be delivered goes to the postmaster; if that fails too, nobody is told")
        func doubleBounce() async throws {
            for domains in ["[elsewhere.test, \"*\"]", "[elsewhere.test]"] {
                let relay = Self.elsewhere.replacing("[elsewhere.test]", with: domains)
                let more = "bounces: {postmaster: user1@example.test}\nsmtp: {relayFrom: [127.0.0.0/8]}"
                try await TestRelays.run(relay, more: more) { cluster, sink in
                    let postmaster = try await cluster.makeAccount()
                    // The sender is elsewhere: its notice is relayed and refused there, or refused by our own frontends.
                    let reply = try await cluster.send(
                        "lost", to: ["refused@elsewhere.test"], from: "refused@far.test")
                    #expect(reply.hasPrefix("250"))
                    let notices = try await cluster.waitForMessages(postmaster, 1)
                    #expect(notices[0].hasPrefix("Return-Path: <#@[]>\r\n"))
                    #expect(notices[0].contains("Final-Recipient: rfc822; refused@far.test"))
                    let last = try await cluster.send(
                        "last", to: ["refused@elsewhere.test"], from: "#@[]")
                    #expect(last.hasPrefix("250"))
                    try await cluster.waitUntilRelayed()
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
            try await TestRelays.run(relays) { cluster, sink in
                for recipient in ["a@elsewhere.test", "a@deep.below.test"] {
                    let reply = try await cluster.send("open", to: [recipient], from: "x@example.org")
                    #expect(reply.hasPrefix("250"))
                }
                for recipient in ["a@below.test", "a@world.test", "a@not-elsewhere.test"] {
                    let reply = try await cluster.send("closed", to: [recipient], from: "x@example.org")
                    #expect(reply.hasPrefix("550 5.7.1"), "\(reply)")
                }
                let author = try await cluster.makeAccount()
                let submission = try await cluster.submission(author)
                let reply = try await submission.deliver(
                    TestRelays.message("user"), to: ["a@world.test", author.address])
                #expect(reply.hasPrefix("250"))
                let got = try await sink.waitFor(3)
                #expect(Set(got.map(\.recipient)) == ["a@elsewhere.test", "a@deep.below.test", "a@world.test"])
                #expect(try await cluster.waitForMessages(author, 1)[0].contains("Subject: user"))
            }
        }

        @Test(
            "A message has at most 128 recipients elsewhere; the others are told to come again (RFC 5321 §4.5.3.1.10)")
        func recipientsMax() async throws {
            try await TestRelays.run(Self.elsewhere, more: "smtp: {limits: {recipientsMax: 1000}}") { cluster, _ in
                let connection = try await cluster.smtp()
                _ = try await connection.say("MAIL FROM:<sender@example.org>")
                for number in 0..<128 {
                    #expect(try await connection.say("RCPT TO:<r\(number)@elsewhere.test>").hasPrefix("250"))
                }
                #expect(try await connection.say("RCPT TO:<r0@elsewhere.test>").hasPrefix("250"))
                #expect(try await connection.say("RCPT TO:<r128@elsewhere.test>").hasPrefix("452 4.5.3"))
            }
        }

        @Test(
            "RFC 1047: only what a server kept and did not answer for in time goes there again, and the log says so",
            arguments: [MailSink.Dialect.plain, .chunking, .lmtp, .qmtp])
        func ambiguity(dialect: MailSink.Dialect) async throws {
            let name = dialect == .lmtp || dialect == .qmtp ? dialect.rawValue : "smtp"
            let relay = Self.elsewhere.replacing("tls: none", with: "tls: none, timeout: 2s, protocol: \(name)")
            try await TestRelays.run(relay, dialect) { cluster, sink in
                _ = try await cluster.send("before", to: ["a@elsewhere.test"], from: "x@example.org")
                try await sink.waitFor(1)
                try sink.silenceNext()
                _ = try await cluster.send("silent", to: ["b@elsewhere.test"], from: "x@example.org")
                try await sink.waitFor(2)
                while try cluster.unanswered().isEmpty { try await Task.sleep(for: .milliseconds(100)) }
                _ = try await cluster.send("after", to: ["c@elsewhere.test"], from: "x@example.org")
                while try sink.count < 4 {
                    try await cluster.hauberk(["relay", "flush", "elsewhere"])
                    try await Task.sleep(for: .milliseconds(500))
                }
                try await cluster.waitUntilRelayed()
                let got = try sink.messages()
                #expect(
                    got.map(\.recipient).sorted()
                        == ["a", "b", "b", "c"].map { "\($0)@elsewhere.test" })
                #expect(
                    got.filter { $0.recipient.hasPrefix("b") }.allSatisfy {
                        $0.original == TestRelays.message("silent")
                    })
                #expect(try cluster.unanswered().count == 1)
            }
        }

        @Test(
            "Of nodes that stand still for a while in turn, another one sends what waits, and each message goes out once"
        )
        func standstills() async throws {
            try await TestRelays.run(Self.elsewhere) { cluster, sink in
                var recipients: [String] = []
                for round in 0..<6 {
                    let name = round.isMultiple(of: 2) ? "store-1" : "store-2"
                    try cluster.signal(SIGSTOP, name)
                    defer { try? cluster.signal(SIGCONT, name) }
                    // The other node looks at all queues, and asks this one about them, while messages come.
                    let flush = Task { try await cluster.hauberk(["relay", "flush", "elsewhere"]) }
                    let more = (0..<20).map { "r\(round)-\($0)@elsewhere.test" }
                    // Two copies are durable only when the node goes on.
                    let sent = Task { try await cluster.send("still", to: more, from: "x@example.org") }
                    try await Task.sleep(for: .milliseconds(1500))
                    try cluster.signal(SIGCONT, name)
                    #expect(try await sent.value.hasPrefix("250"))
                    _ = await flush.result
                    recipients += more
                    // What is under way while a node is stopped may go out twice.
                    try await sink.waitFor(recipients.count)
                    try await cluster.waitUntilRelayed()
                }
                #expect(try sink.messages().map(\.recipient).sorted() == recipients.sorted())
            }
        }

        @Test("Nodes that are killed lose nothing, and what went out before, or is sent to us again, goes out once")
        func crashes() async throws {
            try await TestRelays.run(Self.elsewhere) { cluster, sink in
                let first = (0..<20).map { "first\($0)@elsewhere.test" }
                _ = try await cluster.send("first", to: first, from: "x@example.org")
                try await sink.waitFor(20)
                try await cluster.waitUntilRelayed()
                // What the first owner sent, the second one, which was there, must know.
                try await cluster.crash("store-1")
                let later = (0..<20).map { "second\($0)@elsewhere.test" }
                // Two copies cannot be had now, but each try may leave one, which is sent.
                for _ in 0..<3 {
                    let reply = try await cluster.send("second", to: later, from: "x@example.org")
                    #expect(reply.hasPrefix("45"), "\(reply)")
                }
                try await cluster.restart("store-1", [2401, 1101])
                var reply = ""
                while !reply.hasPrefix("250") {
                    try await Task.sleep(for: .milliseconds(100))
                    reply = try await cluster.send("second", to: later, from: "x@example.org")
                }
                try await sink.waitFor(40)
                try await cluster.waitUntilRelayed()
                try await cluster.crash("store-2")
                try await cluster.restart("store-2", [2402, 1102])
                _ = try await cluster.send("third", to: ["third@elsewhere.test"], from: "x@example.org")
                try await sink.waitFor(41)
                try await cluster.waitUntilRelayed()
                #expect(
                    try sink.messages().map(\.recipient).sorted() == (first + later + ["third@elsewhere.test"]).sorted()
                )
            }
        }
    }
}
