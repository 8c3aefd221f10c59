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

        @Test("swaks submits with TLS from the first byte (RFC 8314 §3.3)")
        func swaksSubmissions() async throws {
            let sender = try await cluster.makeAccount()
            let text = try await swaks(
                "swaks submissions", port: 4465,
                [
                    "--tls-on-connect", "--tls-verify", "--tls-ca-path", cluster.caFile, "--auth", "PLAIN",
                    "--auth-user", sender.address, "--auth-password", sender.password, "--from", sender.address,
                ])
            #expect(text.contains("with ESMTPSA"))
        }

        @Test("RFC 5802: a client submits with SCRAM-SHA-256, and the server proves itself; a wrong proof is 535 5.7.8")
        func scram() async throws {
            let sender = try await cluster.makeAccount()
            let script = """
                import base64, hashlib, hmac, smtplib, ssl, sys
                port, ca, user, password = sys.argv[1:]
                def exchange(session, password):
                    first = "n=%s,r=abcdefghijklmnopqrst" % user
                    begin = base64.b64encode(b"n,," + first.encode()).decode()
                    code, answer = session.docmd("AUTH", "SCRAM-SHA-256 " + begin)
                    assert code == 334, (code, answer)
                    challenge = base64.b64decode(answer).decode()
                    fields = dict(field.split("=", 1) for field in challenge.split(","))
                    assert fields["r"].startswith("abcdefghijklmnopqrst") and len(fields["r"]) > 30, fields
                    salt, rounds = base64.b64decode(fields["s"]), int(fields["i"])
                    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
                    key = hmac.digest(salted, b"Client Key", "sha256")
                    final = "c=biws,r=" + fields["r"]
                    known = ",".join((first, challenge, final)).encode()
                    mask = hmac.digest(hashlib.sha256(key).digest(), known, "sha256")
                    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, mask))).decode()
                    code, answer = session.docmd(base64.b64encode((final + ",p=" + proof).encode()).decode())
                    if code != 334:
                        return code, answer
                    proven = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), known, "sha256")
                    assert base64.b64decode(answer) == b"v=" + base64.b64encode(proven), answer
                    return session.docmd("")
                with smtplib.SMTP("localhost", int(port)) as session:
                    session.starttls(context=ssl.create_default_context(cafile=ca))
                    session.ehlo()
                    assert "SCRAM-SHA-256" in session.esmtp_features["auth"].split(), session.esmtp_features
                    code, answer = exchange(session, "not the password")
                    assert code == 535 and answer.startswith(b"5.7.8"), (code, answer)
                    assert exchange(session, password)[0] == 235
                    assert session.sendmail(user, [user], "Subject: scram\\r\\n\\r\\n") == {}
                """
            let outcome = try await Tree.python([
                "-c", script, "\(cluster.port(5587))", cluster.caFile, sender.address, sender.password,
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try await cluster.message(1, of: sender).contains("with ESMTPSA"))
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

        @Test("Python's smtplib sends, submits by STARTTLS and by TLS from the first byte, and sees refusals as such")
        func smtplib() async throws {
            let reader = try await cluster.makeAccount()
            let script = """
                import smtplib, ssl, sys
                mx, submission, submissions, ca, user, password = sys.argv[1:]
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
                with smtplib.SMTP_SSL("localhost", int(submissions), context=context) as session:
                    session.login(user, password)
                    assert session.sendmail(user, [user], text) == {}
                """
            let outcome = try await Tree.python([
                "-c", script, "\(cluster.port(2525))", "\(cluster.port(5587))", "\(cluster.port(4465))",
                cluster.caFile, reader.address, reader.password,
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try await cluster.messageCount(reader) == 3)
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
