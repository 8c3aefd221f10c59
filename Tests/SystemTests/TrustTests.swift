import Foundation
import Testing

extension SystemTests {
    @Suite("Whom a storage node serves", .cluster)
    struct TrustTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private static let greetings = [2401: "LHLO smtp-a\r\n|QUIT\r\n", 1101: "CAPA\r\nQUIT\r\n"]

        private func identity(_ name: String, in home: String? = nil) -> (certificate: String, key: String) {
            let folder = (home ?? cluster.home.path) + "/certs/"
            return (folder + name + ".pem", folder + name + ".key")
        }

        /// Nothing of the protocol is heard: not the greeting, and no answer.
        private func expectNoService(_ port: Int, _ identity: (certificate: String, key: String)?) async throws {
            let words = try #require(Self.greetings[port])
            let answer = try await TLSPeer(port: cluster.port(port), identity: identity).say(words)
            #expect(answer.status == 0, "\(answer.errors)")
            #expect(answer.output.isEmpty, "\(answer.outputText)")
        }

        @Test("A client without a certificate is not served", arguments: [2401, 1101])
        func noCertificate(port: Int) async throws {
            try await expectNoService(port, nil)
        }

        @Test("A client with a certificate of its own making is not served", arguments: [2401, 1101])
        func selfSigned(port: Int) async throws {
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let files = (folder.path + "/own.pem", folder.path + "/own.key")
            let made = try await Program.run(
                "/usr/bin/env",
                [
                    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "1", "-subj", "/CN=smtp-a", "-addext", "subjectAltName=DNS:smtp-a", "-out", files.0,
                    "-keyout", files.1,
                ])
            try #require(made.status == 0, "\(made.errors)")
            try await expectNoService(port, files)
        }

        @Test("A client with a certificate of another cluster's CA is not served", arguments: [2401, 1101])
        func otherAuthority(port: Int) async throws {
            let other = try CommandHome()
            defer { other.folder.remove() }
            _ = try await other.text("certs", "init")
            _ = try await other.text("certs", "issue", "smtp-a")
            try await expectNoService(port, identity("smtp-a", in: other.folder.path))
        }

        @Test("A client that speaks plain text is not served", arguments: [2401, 1101])
        func plainText(port: Int) async throws {
            let connection = try RawConnection(port: cluster.port(port))
            try await connection.send(try #require(Self.greetings[port]))
            let answer = try await connection.rest()
            for word in ["220", "250", "+OK", "-ERR"] { #expect(!answer.contains(word), "\(answer)") }
        }

        @Test("With a certificate of the cluster's CA, LHLO and XOPEN work")
        func clusterCertificate() async throws {
            let reader = try await cluster.makeAccount(on: "store-1")
            let lmtp = try await TLSPeer(port: cluster.port(2401), identity: identity("smtp-a"))
                .say("LHLO smtp-a\r\n|QUIT\r\n")
            #expect(lmtp.outputText.contains("XHAUBERK"), "\(lmtp.outputText)\(lmtp.errors)")
            let pop3 = try await TLSPeer(port: cluster.port(1101), identity: identity("pop3-a"))
                .say("XOPEN \(reader.address)\r\nSTAT\r\nQUIT\r\n")
            #expect(pop3.outputText.contains("\r\n+OK 0 0\r\n"), "\(pop3.outputText)\(pop3.errors)")
        }

        @Test("A frontend delivers to nobody who cannot show the node's own certificate")
        func falseNode() async throws {
            let reader = try await cluster.makeAccount(on: "store-2")
            try await cluster.crash("store-2")
            let server = """
                import socket, ssl, sys
                port, certificate, key = sys.argv[1:]
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate, key)
                listener = socket.create_server(("127.0.0.1", int(port)))
                listener.settimeout(60)
                for _ in range(2):
                    raw, _ = listener.accept()
                    try:
                        session = context.wrap_socket(raw, server_side=True)
                        session.sendall(b"+OK ready\\r\\n")
                        sys.stdout.write(session.recv(100).decode())
                    except (OSError, ssl.SSLError) as error:
                        pass
                """
            let files = identity("store-1")
            async let heard = Tree.python(
                ["-c", server, "\(cluster.port(1102))", files.certificate, files.key], secondsMax: 60)
            try await cluster.waitUntilListening([1102])
            #expect(try await cluster.loginReply(reader).hasPrefix("-ERR [SYS/TEMP]"))
            let told = try await heard
            #expect(told.status == 0 && told.output.isEmpty, "\(told.outputText)\(told.errors)")
            try await cluster.restart("store-2", [2402, 1102])
            #expect(try await cluster.loginReply(reader).hasPrefix("+OK"))
        }

        /// Runs store-1 with another configuration, without `--init`, to the end that it must come to.
        private func startRefused(_ change: (String) -> String) async throws -> Program.Outcome {
            let text = change(try cluster.home.read("cluster.yaml"))
            let file = try cluster.home.write("other.yaml", text)
            return try await Program.run(
                Tree.hauberk, ["serve", "--config", file, "--node", "store-1"], environment: cluster.environment,
                secondsMax: 60)
        }

        @Test("A storage node does not start on a root without its marker: an export that is not mounted is no store")
        func noMarker() async throws {
            let root = cluster.home.path + "/nodes/not-mounted"
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            let outcome = try await startRefused {
                $0.replacing("data: nodes/store-1", with: "data: nodes/not-mounted")
            }
            #expect(outcome.status == 1, "\(outcome.outputText)\(outcome.errors)")
            #expect(outcome.errors.contains(root), "\(outcome.errors)")
            #expect(outcome.errors.contains("--init"), "\(outcome.errors)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: root).isEmpty)
        }

        @Test("A storage node does not start on another node's root")
        func foreignRoot() async throws {
            let outcome = try await startRefused {
                $0.replacing("data: nodes/store-1", with: "data: nodes/STORE")
                    .replacing("data: nodes/store-2", with: "data: nodes/store-1")
                    .replacing("data: nodes/STORE", with: "data: nodes/store-2")
            }
            #expect(outcome.status == 1, "\(outcome.outputText)\(outcome.errors)")
            #expect(outcome.errors.contains("node \"store-2\""), "\(outcome.errors)")
            #expect(outcome.errors.contains("node \"store-1\""), "\(outcome.errors)")
        }

        @Test("check-config refuses a plain hop that leaves the machine", arguments: ["local", "mutual-tls"])
        func plainHop(mode: String) async throws {
            let text = try cluster.home.read("cluster.yaml")
                .replacing("mode: mutual-tls", with: "mode: \(mode)")
                .replacing("lmtp: 127.0.0.1:\(cluster.port(2403))", with: "lmtp: 10.0.0.3:2403\n    trusted: true")
            let file = try cluster.home.write("plain.yaml", text)
            let outcome = try await Program.run(
                Tree.hauberk, ["check-config", file], environment: cluster.environment)
            outcome.expectFailure("10.0.0.3:2403 would be spoken to without TLS", "1 problem")
        }
    }

    @Suite("A cluster of one machine, over Unix sockets", .cluster { UnixSockets.use($0) })
    struct LocalTrustTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        @Test("Mail goes in and out, without certificates for the hops")
        func mail() async throws {
            for node in ["store-1", "store-2", "store-3"] {
                let reader = try await cluster.makeAccount(on: node)
                #expect(try await cluster.deliver("Subject: local\r\n\r\ntext\r\n", to: reader).hasPrefix("250"))
                #expect(try await cluster.messages(reader).first?.hasSuffix("\r\ntext\r\n") == true)
            }
            #expect(!FileManager.default.fileExists(atPath: cluster.caFile))
        }

        @Test("Nobody but the processes' own user may connect to the sockets")
        func modes() throws {
            for name in ["store-1.lmtp", "store-1.pop3", "store-3.lmtp", "store-3.pop3"] {
                let found = try FileManager.default.attributesOfItem(atPath: cluster.home.path + "/" + name)
                #expect(found[.type] as? FileAttributeType == .typeSocket)
                #expect(try #require(found[.posixPermissions] as? Int) & 0o077 == 0, "\(found)")
            }
        }

        @Test("A socket that a killed node left behind does not keep it from starting again")
        func leftBehind() async throws {
            let reader = try await cluster.makeAccount(on: "store-1")
            #expect(try await cluster.deliver("Subject: before\r\n\r\ntext\r\n", to: reader).hasPrefix("250"))
            let ready = cluster.logCount("store-1", "ready")
            try await cluster.crash("store-1")
            #expect(FileManager.default.fileExists(atPath: cluster.home.path + "/store-1.lmtp"))
            try cluster.start(node: "store-1")
            try await cluster.waitForLog("store-1", "ready", count: ready + 1)
            #expect(try await cluster.messages(reader).count == 1)
        }
    }
}

/// The development cluster with Unix sockets for the hops.
private enum UnixSockets {
    static func use(_ configuration: String) -> String {
        configuration.replacing("mode: mutual-tls", with: "mode: local")
            .replacing(#/(lmtp|pop3): 127\.0\.0\.1:(?:24|11)0([123])\b/#) { match in
                "\(match.1): unix:${HAUBERK_HOME}/store-\(match.2).\(match.1)"
            }
    }
}
