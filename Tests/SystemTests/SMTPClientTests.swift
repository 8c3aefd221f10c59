import Testing

extension SystemTests {
    @Suite("SMTP clients of other people's", .cluster { MoreListeners.add($0) })
    struct SMTPClientTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        /// Runs swaks to send one message, and returns the message as POP3 gives it.
        private func swaks(_ subject: String, port: Int, _ arguments: [String]) async throws -> String {
            let reader = try await cluster.makeAccount()
            let outcome = try await Peer.swaks.run(
                [
                    "--server", "127.0.0.1", "--port", "\(cluster.port(port))", "--from", "sender@example.org", "--to",
                    reader.address, "--helo", "client.example.org", "--data", "-",
                ] + arguments, input: Array(SystemTests.message(subject: subject).utf8))
            #expect(outcome.status == 0, "\(outcome.outputText)\(outcome.errors)")
            return try await cluster.message(1, of: reader)
        }

        @Test("swaks sends by plain SMTP")
        func swaksPlain() async throws {
            let text = try await swaks("swaks plain", port: 2525, [])
            #expect(text.contains("\r\nFirst line\r\n.\r\n..dots\r\n trailing \r\nGrüße\r\n"))
            #expect(text.hasPrefix("Return-Path: <sender@example.org>\r\nDelivered-To: "))
        }

        @Test("swaks sends by STARTTLS and checks the certificate (RFC 3207)")
        func swaksStartTLS() async throws {
            let text = try await swaks(
                "swaks tls", port: 2526, ["--tls", "--tls-verify", "--tls-ca-path", cluster.caFile])
            #expect(text.contains("with ESMTPS"))
        }

        @Test("swaks submits with AUTH (RFC 4954)", arguments: ["PLAIN", "LOGIN"])
        func swaksSubmission(mechanism: String) async throws {
            let sender = try await cluster.makeAccount()
            let text = try await swaks(
                "swaks auth", port: 5587,
                [
                    "--tls", "--auth", mechanism, "--auth-user", sender.address, "--auth-password", sender.password,
                    "--from", sender.address,
                ])
            #expect(text.contains("with ESMTPSA"))
        }

        @Test("swaks is refused with a wrong password (RFC 4954 §6: 535)")
        func swaksWrongPassword() async throws {
            let sender = try await cluster.makeAccount()
            let outcome = try await Peer.swaks.run([
                "--server", "127.0.0.1", "--port", "\(cluster.port(5587))", "--tls", "--auth", "PLAIN",
                "--auth-user", sender.address, "--auth-password", "wrong", "--from", sender.address, "--to",
                sender.address,
            ])
            #expect(outcome.status != 0)
            #expect(outcome.outputText.contains("535 5.7.8"))
        }

        @Test("swaks delivers by LMTP (RFC 2033)")
        func swaksLMTP() async throws {
            let text = try await swaks("swaks lmtp", port: 2424, ["--protocol", "LMTP"])
            #expect(text.contains("with LMTP"))
        }

        @Test("Relaying to a foreign domain is refused: 550 5.7.1")
        func relay() async throws {
            let outcome = try await Peer.swaks.run([
                "--server", "127.0.0.1", "--port", "\(cluster.port(2525))", "--from", "a@example.org", "--to",
                "b@elsewhere.example",
            ])
            #expect(outcome.status != 0)
            #expect(outcome.outputText.contains("550 5.7.1"))
        }

        @Test("curl sends by SMTP, by STARTTLS and by SMTPS", arguments: ["plain", "starttls", "smtps"])
        func curl(security: String) async throws {
            let reader = try await cluster.makeAccount()
            var arguments = ["-sS", "--cacert", cluster.caFile, "--mail-from", "sender@example.org"]
            arguments += ["--mail-rcpt", reader.address, "-T", "-"]
            switch security {
            case "plain": arguments.append("smtp://localhost:\(cluster.port(2525))")
            case "starttls": arguments += ["--ssl-reqd", "smtp://localhost:\(cluster.port(2526))"]
            default:
                arguments += ["-u", "\(reader.address):\(reader.password)", "--mail-from", reader.address]
                arguments.append("smtps://localhost:\(cluster.port(4465))")
            }
            let message = SystemTests.message(subject: "curl \(security)")
            let outcome = try await Peer.curl.run(arguments, input: Array(message.utf8))
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try await cluster.message(1, of: reader).hasSuffix("\r\n" + message))
        }

        @Test("Postfix's smtp-source sends 1,000 messages in 20 sessions, and each is there")
        func smtpSource() async throws {
            let reader = try await cluster.makeAccount()
            let outcome = try await Peer.smtpSource.run([
                "-s", "20", "-m", "1000", "-l", "4096", "-f", "sender@example.org", "-t", reader.address,
                "127.0.0.1:\(cluster.port(2525))",
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try await cluster.messageCount(reader) == 1000)
        }

        @Test("Python's smtplib sends, submits with AUTH, and sees refusals as such")
        func smtplib() async throws {
            let reader = try await cluster.makeAccount()
            let script = """
                import smtplib, ssl, sys
                mx, submission, ca, user, password = sys.argv[1:]
                context = ssl.create_default_context(cafile=ca)
                text = "Subject: smtplib\\r\\n\\r\\n.dot\\r\\n"
                with smtplib.SMTP("localhost", int(mx)) as session:
                    assert session.sendmail("a@example.org", [user], text) == {}
                    try:
                        session.sendmail("a@example.org", ["nobody@example.test"], text)
                        sys.exit("an unknown user was taken")
                    except smtplib.SMTPRecipientsRefused as error:
                        assert error.recipients["nobody@example.test"][0] == 550, error.recipients
                    assert session.verify(user)[0] == 252
                with smtplib.SMTP("localhost", int(submission)) as session:
                    session.starttls(context=context)
                    session.login(user, password)
                    assert session.sendmail(user, [user], text) == {}
                """
            let outcome = try await Tree.python([
                "-c", script, "\(cluster.port(2525))", "\(cluster.port(5587))", cluster.caFile, reader.address,
                reader.password,
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try await cluster.messageCount(reader) == 2)
        }
    }
}

/// The development cluster's listeners, and submission over TLS from the first byte, and LMTP for clients.
private enum MoreListeners {
    static func add(_ configuration: String) -> String {
        let submission = #"      - {service: submission, address: "127.0.0.1:5587"}"#
        let more = [
            submission, #"      - {service: submissions, address: "127.0.0.1:4465"}"#,
            #"      - {service: lmtp, address: "127.0.0.1:2424"}"#,
        ]
        return configuration.replacing(submission, with: more.joined(separator: "\n"))
    }
}
