import Foundation
import Testing

/// A cluster of two nodes that both own every queue of its relays, and a server elsewhere.
enum TestRelays {
    /// - Parameters:
    ///   - relays: the configuration's list of them; `SINK` stands for the server elsewhere.
    ///   - more: what else the configuration says.
    static func run(
        _ relays: String, _ dialect: MailSink.Dialect = .pipelining, authentication: String = "requireTLS: false",
        more: String = "",
        _ body: (TestCluster, MailSink) async throws -> Void
    ) async throws {
        let sink = try await MailSink(dialect)
        defer { sink.stop() }
        let relays = relays.replacing("SINK", with: "localhost:\(sink.port)")
        let configuration =
            TestCluster.twoNodes(named: "inside", authentication: authentication) + "\(more)\nrelays:\n  \(relays)\n"
        try await TestCluster.run(change: { _ in configuration }) {
            try await $0.hauberk(["certs", "listener"])
        } _: { cluster in
            try await body(cluster, sink)
        }
    }

    /// All have the same Message-ID.
    static func message(_ subject: String) -> String {
        "Message-ID: <same@example.test>\r\nSubject: \(subject)\r\n\r\n.dot\r\n..two\r\n\r\nGrüße\r\n"
    }
}

extension TestCluster {
    /// Sends one `TestRelays.message`. Returns the reply that decided.
    func send(_ subject: String, to recipients: [String], from sender: String) async throws -> String {
        let connection = try await smtp()
        _ = try await connection.say("MAIL FROM:<\(sender)>")
        for recipient in recipients {
            let reply = try await connection.say("RCPT TO:<\(recipient)>")
            guard reply.hasPrefix("250") else { return reply }
        }
        _ = try await connection.say("DATA")
        return try await connection.say(TestRelays.message(subject).replacing("\r\n.", with: "\r\n..") + ".")
    }

    /// A session of the account's, logged in.
    func submission(_ account: Account) async throws -> RawConnection {
        let connection = try await smtp(5587)
        let login = Data("\0\(account.address)\0\(account.password)".utf8).base64EncodedString()
        #expect(try await connection.say("AUTH PLAIN \(login)").hasPrefix("235"))
        return connection
    }

    /// fetchmail in its ODMR mode (RFC 2645), which logs in by CRAM-MD5 and hands what it fetches to the sink.
    func fetchByODMR(_ account: Account, for sink: MailSink) async throws -> Program.Outcome {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let settings = try folder.write(
            "fetchmailrc",
            """
            set pidfile "\(folder.path)/pid"
            poll 127.0.0.1 protocol ODMR service \(port(5587)) timeout 60
              user "\(account.address)" password "\(account.password)" sslproto ""
              smtphost "localhost/\(sink.port)" fetchdomains fetched.test

            """, permissions: 0o600)
        let environment = ["HOME": folder.path, "FETCHMAILHOME": folder.path, "LC_ALL": "C"]
        return try await Peer.fetchmail.run(["-v", "-f", settings], environment: environment)
    }

    /// The names of messages that were sent and not answered for, once for each time: a server may have them more than once
    /// (RFC 1047).
    func unanswered() throws -> [String] {
        nodes.flatMap { node in
            log(node).split(separator: "\n").flatMap { line -> [String] in
                guard let name = line.firstMatch(of: #/ message=(?:\d+\/)?(\S+)/#)?.1 else { return [] }
                let sends = line.firstMatch(of: #/ sends=(\d+)/#).flatMap { Int($0.1) } ?? 1
                if line.contains("msg=\"sent, but not answered\"") {
                    return Array(repeating: String(name), count: sends)
                }
                return line.contains("msg=relayed") ? Array(repeating: String(name), count: sends - 1) : []
            }
        }
    }

    /// Messages that wait for all relays.
    func waitingForRelays() async throws -> Int {
        let rows = try await hauberk(["relay", "status", "--json"])
        return rows.matches(of: #/"messages"\s*:\s*(\d+)/#).reduce(0) { $0 + (Int($1.1) ?? 0) }
    }

    func waitUntilRelayed() async throws {
        for _ in 0..<600 {
            if try await waitingForRelays() == 0 { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failed(description: "the queues never got empty: \(try await hauberk(["relay", "status"]))")
    }
}
