import Foundation
import Testing

extension SystemTests {
    @Suite("POP3 clients of other people's", .cluster)
    struct POP3ClientTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        /// An account with `count` messages, sent by curl to the first SMTP frontend.
        private func accountWithMail(_ count: Int) async throws -> TestCluster.Account {
            let reader = try await cluster.makeAccount()
            for number in 1...count {
                let outcome = try await Peer.curl.run(
                    [
                        "-sS", "--mail-from", "sender@example.org", "--mail-rcpt", reader.address, "-T", "-",
                        "smtp://localhost:\(cluster.port(2525))",
                    ], input: Array(SystemTests.message(subject: "number \(number)").utf8))
                try #require(outcome.status == 0, "\(outcome.errors)")
            }
            return reader
        }

        @Test("curl lists and reads by STLS and by POP3S", arguments: ["stls", "pop3s"])
        func curl(security: String) async throws {
            let reader = try await accountWithMail(2)
            let address =
                security == "pop3s"
                ? "pop3s://localhost:\(cluster.port(1995))/" : "pop3://localhost:\(cluster.port(1110))/"
            let login = [
                "-sS", "--ssl-reqd", "--cacert", cluster.caFile, "-u", "\(reader.address):\(reader.password)",
            ]
            let list = try await Peer.curl.run(login + [address])
            #expect(list.outputText.split(separator: "\r\n").count == 2, "\(list.errors)")
            let message = try await Peer.curl.run(login + [address + "2"])
            #expect(message.outputText.hasSuffix("\r\n" + SystemTests.message(subject: "number 2")))
            #expect(list.outputText.contains("2 \(message.output.count)\r\n"))
        }

        @Test("curl logs in by AUTH PLAIN (RFC 5034)")
        func authPlain() async throws {
            let reader = try await accountWithMail(1)
            let outcome = try await Peer.curl.run([
                "-sS", "--ssl-reqd", "--cacert", cluster.caFile, "--login-options", "AUTH=PLAIN", "-u",
                "\(reader.address):\(reader.password)", "pop3://localhost:\(cluster.port(1111))/1",
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
        }

        @Test(
            "fetchmail fetches once by UIDL, keeps the mail, and sees nothing new the second time",
            arguments: ["stls", "pop3s"])
        func fetchmail(security: String) async throws {
            let reader = try await accountWithMail(3)
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let agent = try folder.write("agent", "#!/bin/sh\ncat >>\(folder.path)/mail\n", permissions: 0o700)
            let settings = try folder.write(
                "fetchmailrc",
                """
                set idfile "\(folder.path)/ids"
                set invisible
                set pidfile "\(folder.path)/pid"
                poll localhost protocol POP3 service \(cluster.port(security == "pop3s" ? 1995 : 1110)) uidl
                  user "\(reader.address)" password "\(reader.password)" keep no rewrite
                  \(security == "pop3s" ? "ssl" : "") sslproto "TLS1.2+" sslcertfile "\(cluster.caFile)" sslcertck mda "\(agent)"

                """)
            let environment = ["HOME": folder.path, "FETCHMAILHOME": folder.path, "LC_ALL": "C"]
            let first = try await Peer.fetchmail.run(["-v", "-f", settings], environment: environment)
            #expect(first.status == 0, "\(first.outputText)\(first.errors)")
            let mail = try folder.read("mail")
            for number in 1...3 { #expect(mail.contains("Subject: number \(number)\n")) }
            #expect(mail.contains("\nFirst line\n.\n..dots\n trailing \nGrüße\n"))
            let second = try await Peer.fetchmail.run(["-f", settings], environment: environment)
            #expect(second.status == 1, "fetchmail(1): 1 means that there was no mail\n\(second.errors)")
            #expect(try await cluster.messageCount(reader) == 3)
        }

        @Test(
            "mpop logs in by each mechanism, fetches by STLS and by POP3S, and deletes what it fetched",
            arguments: ["user", "plain", "scram-sha-256"], ["stls", "pop3s"])
        func mpop(mechanism: String, security: String) async throws {
            let reader = try await accountWithMail(3)
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            for name in ["", "/cur", "/new", "/tmp"] {
                try FileManager.default.createDirectory(
                    atPath: folder.path + "/mail" + name, withIntermediateDirectories: true)
            }
            let settings = try folder.write(
                "mpoprc",
                """
                account test
                host localhost
                port \(cluster.port(security == "pop3s" ? 1995 : 1110))
                user \(reader.address)
                password \(reader.password)
                auth \(mechanism)
                tls on
                tls_starttls \(security == "pop3s" ? "off" : "on")
                tls_trust_file \(cluster.caFile)
                keep off
                received_header off
                uidls_file \(folder.path)/uidls
                delivery maildir \(folder.path)/mail

                """)
            let outcome = try await Peer.mpop.run(["-C", settings, "test"], environment: ["HOME": folder.path])
            #expect(outcome.status == 0, "\(outcome.outputText)\(outcome.errors)")
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/mail/new")
            let texts = try files.map { try folder.read("mail/new/" + $0) }
            #expect(texts.count == 3)
            for number in 1...3 {
                let sent = SystemTests.message(subject: "number \(number)").replacing("\r\n", with: "\n")
                #expect(texts.contains { $0.hasSuffix("\n" + sent) })
            }
            #expect(try await cluster.messageCount(reader) == 0)
        }

        @Test("Python's poplib: STAT, LIST, UIDL, TOP, RETR, DELE, RSET, CAPA and UTF8")
        func poplib() async throws {
            let reader = try await accountWithMail(2)
            let script = """
                import poplib, ssl, sys
                port, ca, user, password = sys.argv[1:]
                def session():
                    pop = poplib.POP3("localhost", int(port))
                    pop.stls(ssl.create_default_context(cafile=ca))
                    assert "UIDL" in pop.capa() and "PLAIN" in pop.capa()["SASL"], pop.capa()
                    pop.utf8()
                    pop.user(user)
                    pop.pass_(password)
                    return pop
                pop = session()
                count, octets = pop.stat()
                sizes = [int(line.split()[1]) for line in pop.list()[1]]
                assert count == 2 and sum(sizes) == octets, (count, octets, sizes)
                text = b"".join(line + b"\\r\\n" for line in pop.retr(2)[1])
                assert len(text) == sizes[1] and "Grüße".encode() in text
                assert pop.top(2, 0)[1][-1] == b"" and len(pop.top(2, 1)[1]) == len(pop.top(2, 0)[1]) + 1
                names = pop.uidl()[1]
                pop.dele(1)
                pop.rset()
                pop.dele(1)
                pop.quit()
                pop = session()
                assert [line.split()[1] for line in pop.uidl()[1]] == [names[1].split()[1]]
                pop.quit()
                """
            let outcome = try await Tree.python([
                "-c", script, "\(cluster.port(1111))", cluster.caFile, reader.address, reader.password,
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
    }
}
