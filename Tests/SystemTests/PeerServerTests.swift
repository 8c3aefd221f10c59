import Foundation
import Testing

extension SystemTests {
    @Suite("Mail servers of other people's", .enabled(if: PeerServer.isPossible, PeerServer.lacking))
    struct PeerServerTests {
        /// With all fields that a server would add, and with what a client or a server may have changed.
        private static let messages = (0..<30).map { number in
            "From: sender@example.org\nTo: reader@example.test\nDate: Fri, 27 Nov 2026 03:00:00 +0000\n"
                + "Message-ID: <\(number)@example.org>\nSubject: number \(number)\n\n"
                + ".\n..dots\n trailing \nFrom here\nGrüße\n" + String(repeating: "long ", count: 190 + number) + "\n\n"
        }

        /// Ships them from a Maildir as `maildirsmtp` does, which knows no port but 25, and compares what arrives.
        private func ship(to setup: some PeerServerSetup) async throws {
            try await PeerServer.run(setup) { server in
                let maildir = try Self.maildir()
                defer { maildir.remove() }
                let outcome = try await Program.run(
                    Tree.hauberk,
                    [
                        "serialmail", "maildirserial", "--", maildir.path, "mirror-", Tree.hauberk, "serialmail",
                        "tcpclient", "-RHl0", "--", "127.0.0.1", "\(server.port)", Tree.hauberk, "serialmail",
                        "serialsmtp", "mirror-", "client.example.org",
                    ])
                #expect(outcome.status == 0, "\(outcome.errors)\(outcome.outputText)")
                #expect(try FileManager.default.contentsOfDirectory(atPath: maildir.path + "/new") == [])
                let arrived = try await server.waitForMessages(Self.messages.count)
                for message in Self.messages {
                    let copies = arrived.filter { String(decoding: $0, as: UTF8.self).hasSuffix("\n" + message) }
                    #expect(copies.count == 1, "\(message.prefix(200))")
                }
            }
        }

        /// Files that are a while old: the newest ones are left for the next run.
        private static func maildir() throws -> TemporaryFolder {
            let folder = try TemporaryFolder()
            for name in ["tmp", "new", "cur"] {
                try FileManager.default.createDirectory(
                    atPath: "\(folder.path)/\(name)", withIntermediateDirectories: false)
            }
            for (number, message) in messages.enumerated() {
                let file = try folder.write(
                    "new/\(1_700_000_000 + number).\(number).example",
                    "Return-Path: <sender@example.org>\nDelivered-To: mirror-reader@example.test\n" + message)
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -60)], ofItemAtPath: file)
            }
            return folder
        }

        /// What a frontend took, a relay brings there.
        private func relay(to setup: some PeerServerSetup) async throws {
            try await PeerServer.run(setup) { server in
                let relay =
                    "relays: [{name: peer, domains: [example.test], addresses: [\"localhost:\(server.port)\"], "
                    + "protocol: \(setup.mailProtocol)}]\n"
                try await TestCluster.run(change: { $0 + relay }) {
                    try await $0.hauberk(["certs", "listener"])
                } _: { cluster in
                    try await cluster.hauberk(["domain", "remove", "example.test"])
                    let connection = try await cluster.smtp()
                    for message in Self.messages {
                        let text = message.replacing("\n", with: "\r\n")
                        let reply = try await connection.deliver(text, to: ["reader@example.test"])
                        #expect(reply.hasPrefix("250"), "\(reply)")
                    }
                    _ = try await server.waitForMessages(Self.messages.count)
                    try await cluster.waitUntilRelayed()
                    let arrived = try server.messages().map { String(decoding: $0, as: UTF8.self) }
                    // A server that took one and was too slow to say so may have it again, and nothing else is there twice.
                    let unanswered = try cluster.unanswered()
                    for message in Self.messages {
                        let copies = arrived.filter { $0.hasSuffix("\n" + message) }
                        let repeats = unanswered.count { name in copies.contains { $0.contains(" id \(name)") } }
                        #expect((1...1 + repeats).contains(copies.count), "\(message.prefix(200))")
                    }
                }
            }
        }

        @Test("A relay brings mail to Postfix, byte for byte, with STARTTLS where it is offered")
        func relayToPostfix() async throws { try await relay(to: Postfix()) }

        @Test("A relay brings mail to Exim, byte for byte")
        func relayToExim() async throws { try await relay(to: Exim()) }

        @Test("A relay brings mail to OpenSMTPD, byte for byte")
        func relayToOpenSMTPD() async throws { try await relay(to: OpenSMTPD()) }

        @Test("A relay brings mail to Dovecot by LMTP, byte for byte")
        func relayToDovecot() async throws { try await relay(to: Dovecot()) }

        @Test("serialsmtp brings a Maildir to Postfix, byte for byte")
        func postfix() async throws { try await ship(to: Postfix()) }

        @Test("serialsmtp brings a Maildir to Exim, byte for byte")
        func exim() async throws { try await ship(to: Exim()) }

        @Test("serialsmtp brings a Maildir to OpenSMTPD, byte for byte")
        func openSMTPD() async throws { try await ship(to: OpenSMTPD()) }
    }
}
