import Foundation
import Testing

extension SystemTests {
    @Suite("Messages that no process could hold in memory", .serialized, .timeLimit(.minutes(10)))
    struct LargeMailTests {
        /// More than a link to another server holds of all texts together.
        private static let octets = 84 << 20
        /// What a process may grow by, in KiB: a fifth of such a text.
        private static let growthMax = 16 << 10

        private static let sender = """
            import hashlib, socket, sys
            port, octets, sender, *recipients = sys.argv[1:]
            stream = socket.create_connection(("127.0.0.1", int(port)), 300)
            reader = stream.makefile("rb")
            def reply():
                while (answer := reader.readline())[3:4] == b"-": pass
                return answer.decode().strip()
            reply()
            commands = ["EHLO client.example.org", f"MAIL FROM:<{sender}> BODY=8BITMIME"]
            for command in commands + [f"RCPT TO:<{recipient}>" for recipient in recipients]:
                stream.sendall(command.encode() + b"\\r\\n")
                answer = reply()
                assert answer.startswith("250 "), answer
            # Every line is another one, and some begin with dots.
            filling = b" Gr\\xc3\\xbc\\xc3\\x9fe " + b"x" * 970 + b"\\r\\n"
            lines = int(octets) // 1000
            text = b"Subject: large\\r\\n\\r\\n" + b"".join(
                (b".%d" if number % 7 else b"..%d") % number + filling for number in range(lines))
            stream.sendall(b"BDAT %d LAST\\r\\n" % len(text) + text)
            answer = reply()
            assert answer.startswith("250 "), answer
            print(hashlib.sha256(text).hexdigest())
            """

        /// Hands a message in. Returns its text's SHA-256, as `MailSink.digests` gives it.
        private func send(
            _ octets: Int = octets, from sender: String = "sender@example.org", to recipients: [String],
            at cluster: TestCluster
        ) async throws -> String {
            let outcome = try await Tree.python(
                ["-c", Self.sender, "\(cluster.port(2525))", "\(octets)", sender] + recipients)
            try #require(outcome.status == 0, "\(outcome.errors)")
            return outcome.outputText.trimmingCharacters(in: .newlines)
        }

        private static let limits = "smtp: {limits: {messageBytesMax: 200MiB}}"

        private static func relays(_ sinks: [MailSink.Dialect: MailSink]) -> String {
            sinks.map { dialect, sink in
                let name = dialect == .lmtp || dialect == .qmtp ? dialect.rawValue : "smtp"
                return "- {name: \(dialect), domains: [\(dialect).test], addresses: [\"localhost:\(sink.port)\"], "
                    + "tls: none, protocol: \(name)}"
            }.joined(separator: "\n  ")
        }

        @Test("A relay sends them a piece at a time, in every protocol, byte for byte; one that is cut off goes again")
        func relay() async throws {
            let dialects: [MailSink.Dialect] = [.plain, .pipelining, .chunking, .lmtp, .qmtp]
            var sinks: [MailSink.Dialect: MailSink] = [:]
            defer { for sink in sinks.values { sink.stop() } }
            for dialect in dialects { sinks[dialect] = try await MailSink(dialect) }
            let known = sinks
            try await TestRelays.run(Self.relays(known), more: Self.limits) { cluster, _ in
                let recipients = dialects.map { "reader@\($0).test" }
                // What a first large message needs once and for all is no growth.
                let first = try await send(3 << 20, to: recipients, at: cluster)
                try await cluster.waitUntilRelayed()
                let before = try cluster.nodes.map { try ProcessMemory(cluster.processNumber($0)).resetPeak() }
                for sink in known.values { try sink.cutNext() }
                let second = try await send(to: recipients, at: cluster)
                for sink in known.values {
                    while !sink.hasCut { try await Task.sleep(for: .milliseconds(50)) }
                }
                for dialect in dialects {
                    let sink = try #require(known[dialect])
                    while try sink.count < 2 {
                        try await cluster.hauberk(["relay", "flush", "\(dialect)"])
                        try await Task.sleep(for: .milliseconds(500))
                    }
                }
                try await cluster.waitUntilRelayed()
                for dialect in dialects {
                    let got = try await known[dialect]?.digests() ?? [:]
                    #expect(got == ["reader@\(dialect).test": [first, second]], "\(dialect)")
                }
                try expectNoGrowth(cluster, before)
            }
        }

        @Test(
            "A client that fetches its mail by ATRN gets them a piece at a time, byte for byte, with DATA and with BDAT"
        )
        func fetched() async throws {
            let relays = "- {name: fetched, domains: [fetched.test], users: [user1@example.test]}"
            for dialect in [MailSink.Dialect.pipelining, .chunking] {
                try await TestRelays.run(
                    relays, dialect, authentication: "requireTLS: false, cramMD5: true", more: Self.limits
                ) { cluster, sink in
                    let owner = try await cluster.makeAccount(options: ["--apop"])
                    var sent: [String] = []
                    sent.append(try await send(3 << 20, to: ["reader@fetched.test"], at: cluster))
                    #expect(try await cluster.fetchByODMR(owner, for: sink).status == 0)
                    let before = try cluster.nodes.map { try ProcessMemory(cluster.processNumber($0)).resetPeak() }
                    sent.append(try await send(to: ["reader@fetched.test"], at: cluster))
                    let fetched = try await cluster.fetchByODMR(owner, for: sink)
                    #expect(fetched.status == 0, "\(fetched.errors)")
                    try await cluster.waitUntilRelayed()
                    #expect(try await sink.digests() == ["reader@fetched.test": sent])
                    try expectNoGrowth(cluster, before)
                    // One that the client does not want is not sent, and is no obstacle to the next.
                    _ = try await send(3 << 20, to: ["refused@fetched.test"], at: cluster)
                    sent.append(try await send(3 << 20, to: ["reader@fetched.test"], at: cluster))
                    #expect(try await cluster.fetchByODMR(owner, for: sink).status == 0)
                    #expect(try await sink.digests() == ["reader@fetched.test": sent])
                    #expect(!sink.gotUnwanted)
                }
            }
        }

        @Test("A site gets them a piece at a time, byte for byte, and every copy of them is the same")
        func site() async throws {
            try await TestSites.run(["east": ["west"], "west": ["east"]]) { sites in
                for site in ["east", "west"] {
                    try sites[site].rewriteConfiguration { $0 + Self.limits + "\n" }
                    try await sites.crash(site)
                    try await sites.restart(site)
                }
                let reader = try await sites.makeAccount()
                let first = try await send(3 << 20, to: [reader.address], at: sites["east"])
                try await untilNothingWaits(sites)
                let clusters = [try sites["east"], try sites["west"]]
                let before = try clusters.map { cluster in
                    try cluster.nodes.map { try ProcessMemory(cluster.processNumber($0)).resetPeak() }
                }
                let second = try await send(to: [reader.address], at: sites["east"])
                try await untilNothingWaits(sites)
                for (cluster, before) in zip(clusters, before) {
                    #expect(try await digests(at: cluster).sorted() == [first, first, second, second].sorted())
                    try expectNoGrowth(cluster, before)
                }
            }
        }

        private func untilNothingWaits(_ sites: TestSites) async throws {
            for _ in 0..<1200 {
                if try sites.waiting(at: "east").isEmpty && sites.waiting(at: "west").isEmpty { return }
                try await Task.sleep(for: .milliseconds(100))
            }
            Issue.record("what waits is not carried: \(try sites.waiting(at: "east") + sites.waiting(at: "west"))")
        }

        /// Of the texts in all mailboxes of a cluster, from their subjects on.
        private func digests(at cluster: TestCluster) async throws -> [String] {
            let script = """
                import glob, hashlib, sys
                for name in glob.glob(sys.argv[1] + "/nodes/*/mail/*/*/*/new/*"):
                    text = open(name, "rb").read()
                    text = text[text.index(b"Subject:"):].replace(b"\\n", b"\\r\\n")
                    print(hashlib.sha256(text).hexdigest())
                """
            let outcome = try await Tree.python(["-c", script, cluster.home.path])
            return outcome.outputText.split(separator: "\n").map(String.init)
        }

        private func expectNoGrowth(_ cluster: TestCluster, _ before: [Int]) throws {
            for (name, start) in zip(cluster.nodes, before) {
                let growth = try ProcessMemory(cluster.processNumber(name)).peakKilobytes() - start
                #expect(growth < Self.growthMax, "\(name) grew by \(growth) KiB")
            }
        }

        @Test("One that is refused is not sent for that, and its sender is told; meanwhile others go")
        func refused() async throws {
            let sink = try await MailSink(.chunking)
            defer { sink.stop() }
            try await TestRelays.run(Self.relays([.chunking: sink]), more: Self.limits) { cluster, _ in
                let author = try await cluster.makeAccount()
                _ = try await send(3 << 20, from: author.address, to: ["refused@chunking.test"], at: cluster)
                _ = try await cluster.waitForMessages(author, 1)
                let before = try cluster.nodes.map { try ProcessMemory(cluster.processNumber($0)).resetPeak() }
                _ = try await send(from: author.address, to: ["refused@chunking.test"], at: cluster)
                _ = try await cluster.send("small", to: ["reader@chunking.test"], from: author.address)
                for notice in try await cluster.waitForMessages(author, 2) {
                    #expect(notice.contains("Final-Recipient: rfc822; refused@chunking.test"))
                    #expect(notice.contains("\nSubject: large\r\n"))
                    #expect(notice.utf8.count < 1 << 20)
                }
                #expect(try await sink.waitFor(1).map(\.recipient) == ["reader@chunking.test"])
                try await cluster.waitUntilRelayed()
                #expect(!sink.gotUnwanted)
                try expectNoGrowth(cluster, before)
            }
        }
    }
}
