import Foundation
import Testing

extension SystemTests {
    @Suite("CRAM-MD5, as other people's clients speak it", .serialized, .timeLimit(.minutes(10)))
    struct CRAMMD5ClientTests {
        private static let relays = """
            - {name: fetched, domains: [fetched.test], users: [user1@example.test, user2@example.test]}
            """

        private func run(_ body: (TestCluster, MailSink) async throws -> Void) async throws {
            try await TestRelays.run(Self.relays, authentication: "requireTLS: false, cramMD5: true", body)
        }

        /// What smtplib's exchange comes to, in an address of its own: failures elsewhere slow nobody down here.
        private func submit(_ cluster: TestCluster, _ account: TestCluster.Account, by host: Int) async throws -> String
        {
            let script = """
                import smtplib, sys
                port, user, password, source = sys.argv[1:]
                client = smtplib.SMTP("127.0.0.1", int(port), source_address=(source, 0))
                client.ehlo()
                client.user, client.password = user, password
                try:
                    print(client.auth("CRAM-MD5", client.auth_cram_md5, initial_response_ok=False)[0])
                except smtplib.SMTPAuthenticationError as error:
                    print(error.smtp_code, error.smtp_error.decode())
                """
            return try await Tree.python([
                "-c", script, "\(cluster.port(5587))", account.address, account.password, "127.0.0.\(host)",
            ]).outputText
        }

        /// Whether mpop gets in.
        private func read(_ cluster: TestCluster, _ account: TestCluster.Account) async throws -> Program.Outcome {
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let settings = try folder.write(
                "mpoprc",
                """
                account test
                host 127.0.0.1
                port \(cluster.port(1110))
                user \(account.address)
                password \(account.password)
                auth cram-md5
                tls off
                delivery mbox \(folder.path)/mail
                uidls_file \(folder.path)/uidls

                """)
            return try await Peer.mpop.run(["--file=\(settings)", "test"], environment: ["HOME": folder.path])
        }

        @Test("RFC 2195: it logs in an account that has a secret for it, to send and to read, and no other")
        func logins() async throws {
            try await run { cluster, _ in
                let able = try await cluster.makeAccount(options: ["--apop"])
                let unable = try await cluster.makeAccount()
                let wrong = TestCluster.Account(address: able.address, password: "wrong")
                let nobody = TestCluster.Account(address: "nobody@example.test", password: "wrong")
                #expect(try await submit(cluster, able, by: 11) == "235\n")
                for (host, account) in [(12, unable), (13, wrong), (14, nobody)] {
                    #expect(
                        try await submit(cluster, account, by: host) == "535 5.7.8 wrong user or password\n",
                        "\(account)")
                }
                let opened = try await read(cluster, able)
                #expect(opened.status == 0, "\(opened.errors)")
                let refused = try await read(cluster, unable)
                #expect(refused.status == 77, "mpop(1): EX_NOPERM is a refused login\n\(refused.errors)")
            }
        }

        @Test("RFC 2645: fetchmail logs in by it, says ATRN, and takes each message that waits, unchanged and once")
        func odmr() async throws {
            try await run { cluster, sink in
                let owner = try await cluster.makeAccount(options: ["--apop"])
                let unable = try await cluster.makeAccount()
                for name in ["a", "b", "c"] {
                    _ = try await cluster.send(name, to: ["\(name)@fetched.test"], from: "sender@example.org")
                }
                let refused = try await cluster.fetchByODMR(unable, for: sink)
                #expect(refused.status != 0, "\(refused.outputText)\(refused.errors)")
                #expect(try await cluster.waitingForRelays() == 3)
                let fetched = try await cluster.fetchByODMR(owner, for: sink)
                #expect(fetched.status == 0, "\(fetched.outputText)\(fetched.errors)")
                let messages = try sink.messages()
                #expect(messages.map(\.recipient).sorted() == ["a@fetched.test", "b@fetched.test", "c@fetched.test"])
                for message in messages {
                    #expect(message.sender == "sender@example.org")
                    #expect(message.original == TestRelays.message(String(message.recipient.first ?? " ")))
                }
                try await cluster.waitUntilRelayed()
                let again = try await cluster.fetchByODMR(owner, for: sink)
                #expect(again.status == 0, "fetchmail(1): nothing to fetch is no error by ODMR\n\(again.errors)")
                #expect((again.outputText + again.errors).contains("You have no mail."))
                #expect(try sink.messages().count == 3)
            }
        }
    }
}
