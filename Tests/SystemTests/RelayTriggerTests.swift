import Foundation
import Testing

extension SystemTests {
    @Suite("When mail for elsewhere goes, and who fetches it", .serialized, .timeLimit(.minutes(10)))
    struct RelayTriggerTests {
        @Test("On a schedule or on request, mail waits until it is time, or until somebody asks")
        func triggers() async throws {
            let relays = """
                - {name: asked, domains: [asked.test], addresses: [SINK], tls: none, trigger: on-request}
                  - {name: timed, domains: [timed.test], addresses: [SINK], tls: none, trigger: scheduled, interval: 5s}
                """
            try await TestRelays.run(relays) { cluster, sink in
                for name in ["one", "two"] {
                    _ = try await cluster.send(name, to: ["a@asked.test"], from: "x@example.org")
                    _ = try await cluster.send(name, to: ["a@timed.test"], from: "x@example.org")
                }
                #expect(try await sink.waitFor(2).allSatisfy { $0.recipient == "a@timed.test" })
                #expect(try await cluster.hauberk(["relay", "flush", "asked"]) == "2 messages waiting\n")
                let got = try await sink.waitFor(4)
                #expect(got.count { $0.recipient == "a@asked.test" } == 2)
                try await cluster.waitUntilRelayed()
                // What comes while it is being sent goes too.
                try await Task.sleep(for: .seconds(3))
                _ = try await cluster.send("three", to: ["a@asked.test"], from: "x@example.org")
                _ = try await cluster.send("three", to: ["a@timed.test"], from: "x@example.org")
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

        @Test("RFC 1985: ETRN has waiting mail sent, for those who may; a visit of the right address does so too")
        func etrn() async throws {
            try await TestRelays.run(Self.turned) { cluster, sink in
                let (owner, other) = (try await cluster.makeAccount(), try await cluster.makeAccount())
                let session = try await cluster.submission(owner)
                #expect(try await session.say("ETRN sent.test").hasPrefix("251"))
                for number in 0..<3 {
                    _ = try await cluster.send("\(number)", to: ["a@sent.test"], from: "x@example.org")
                }
                _ = try await cluster.send("visit", to: ["a@visited.test"], from: "x@example.org")
                for (line, code) in [
                    ("nowhere.test", "459"), ("visited.test", "459"), ("#fetched", "458"), ("#sent x", "501"),
                ] {
                    let reply = try await session.say("ETRN \(line)")
                    #expect(reply.hasPrefix(code), "ETRN \(line): \(reply)")
                }
                let stranger = try await cluster.submission(other)
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
                    _ = try await cluster.send("\(number)", to: ["a@asked.test"], from: "x@example.org")
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
            try await TestRelays.run(Self.turned) { cluster, _ in
                let (owner, other) = (try await cluster.makeAccount(), try await cluster.makeAccount())
                let session = try await cluster.submission(owner)
                #expect(try await session.say("ATRN fetched.test").hasPrefix("453"))
                for name in ["a", "b", "refused", "later"] {
                    _ = try await cluster.send(name, to: ["\(name)@fetched.test"], from: other.address)
                }
                #expect(try await session.say("ATRN sent.test").hasPrefix("450"))
                #expect(try await cluster.submission(other).say("ATRN").hasPrefix("450"))
                #expect(try await session.say("ATRN fetched.test").hasPrefix("250"))
                let first = try await serve(session)
                #expect(first.map(\.recipient).sorted() == ["a@fetched.test", "b@fetched.test"])
                for message in first {
                    #expect(message.original == TestRelays.message(String(message.recipient.first ?? " ")))
                }
                let notice = try await cluster.waitForMessages(other, 1)
                #expect(notice[0].contains("Final-Recipient: rfc822; refused@fetched.test"))
                // Who was put off is there the next time, and nobody else is.
                let again = try await cluster.submission(owner)
                #expect(try await again.say("ATRN").hasPrefix("250"))
                #expect(try await serve(again, takesLater: true).map(\.recipient) == ["later@fetched.test"])
                try await cluster.waitUntilRelayed()
                #expect(try await cluster.submission(owner).say("ATRN").hasPrefix("453"))
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
