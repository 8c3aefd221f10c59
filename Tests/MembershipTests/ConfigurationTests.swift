import Cluster
import Mail
import Membership
import Testing

@Suite("Configuration")
struct ConfigurationTests {
    private static let base = """
        frontends:
          - name: front
            listeners:
              - {service: smtp, address: "127.0.0.1:2525"}
        nodes:
          - {name: a, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2"}
          - {name: b, lmtp: "127.0.0.1:3", pop3: "127.0.0.1:4"}

        """

    @Test("Everything that is wrong is told at once, with file, line, column, key and what is allowed")
    func allAtOnce() {
        let found = problems(
            """
            cluster:
              partitons: 4096
              replicas: many
            smtp:
              idleTimeout: 5 minutes
            \(Self.base)
            """)
        #expect(
            found.map(\.description) == [
                #"test.yaml:2:3: cluster: unknown key "partitons": did you mean "partitions"?"#,
                #"test.yaml:3:13: cluster.replicas: "many" is not allowed here: expected a whole number from 1 to 16"#,
                #"test.yaml:5:16: smtp.idleTimeout: "5 minutes" is not allowed here: "#
                    + "expected a time such as 500ms, 30s, 5m, 36h or 7d, from 1ms to 1d",
            ])
    }

    @Test("A key that resembles none is answered with those that there are")
    func unknownKey() {
        let found = problems(Self.base + "cluster: {colour: red}\n")
        #expect(found.count == 1)
        #expect(found[0].message.contains("known here are name, partitions, replicas, durableCopies, epochs"))
    }

    @Test("Choices are listed", arguments: ["trust: {mode: tls}", "telemetry: {logLevel: loud}"])
    func choices(line: String) {
        let found = problems(Self.base + line + "\n")
        #expect(found.count == 1)
        #expect(found.allSatisfy { $0.message.contains("expected one of: ") })
    }

    @Test("A key that must be there is missed, at the place where it belongs")
    func missing() {
        let found = problems("nodes:\n  - {name: a, lmtp: \"127.0.0.1:1\"}\n")
        #expect(found.map(\.description) == [#"test.yaml:2:5: nodes[0]: the key "pop3" is missing"#])
    }

    @Test("What is no YAML, or says a key twice, is an error with its line")
    func broken() {
        #expect(problems("cluster: {name: [").first.map { $0.line > 0 } == true)
        #expect(
            problems(Self.base + "cluster: {name: a}\ncluster: {name: b}\n").first?.message.contains("more than once")
                == true)
        #expect(problems("- a\n- b\n").first?.message.contains("expected a mapping") == true)
        #expect(!problems("").isEmpty)
    }

    @Test("A file that is not there is an error, not a crash")
    func noFile() {
        #expect {
            try ClusterConfiguration.load(path: "/nonexistent/hauberk.yaml", environment: [:])
        } throws: { "\($0)".hasPrefix("/nonexistent/hauberk.yaml: cannot be read: ") }
    }

    @Test(
        "Rules between keys",
        arguments: [
            ("cluster: {replicas: 3}", "cluster.replicas"),
            ("cluster: {durableCopies: 2}", "cluster.durableCopies"),
            ("cluster: {replicas: 2, durableCopies: 2, epochs: [a, +b]}", "cluster.epochs[0]"),
            ("cluster: {epochs: [a b c]}", "cluster.epochs"),
            ("cluster: {epochs: [a, c, +b]}", "cluster.epochs[1]"),
            ("storage: {tombstoneGrace: 36h, tmpAge: 36h}", "storage.tombstoneGrace"),
            ("storage: {tombstoneGrace: 48h}\ndelivery: {resendWindow: 48h}", "storage.tombstoneGrace"),
            ("delivery: {reconnectDelay: 1m}", "delivery.reconnectDelayMax"),
            ("authentication: {throttle: {delay: 1m}}", "authentication.throttle.delayMax"),
            ("delivery: {connectTimeout: 1m}", "delivery.connectTimeout"),
            ("delivery: {inFlightPerConnectionMax: 65}", "delivery.inFlightPerConnectionMax"),
        ])
    func rules(line: String, path: String) {
        let found = problems(Self.base + line + "\n")
        #expect(found.map(\.path) == [path])
        #expect(found.allSatisfy { $0.line >= 8 || path == "delivery.reconnectDelayMax" })
    }

    @Test("Two processes with one name, two users of one address, two nodes with one store are refused")
    func duplicates() {
        let found = problems(
            """
            frontends:
              - {name: a, listeners: [{service: smtp, address: "127.0.0.1:1"}]}
            nodes:
              - {name: a, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2", data: store}
              - {name: b, lmtp: "127.0.0.1:3", pop3: "127.0.0.1:4", data: /srv/hauberk/store}
            """)
        #expect(found.map(\.path).sorted() == ["nodes[0].lmtp", "nodes[0].name", "nodes[1].data"])
    }

    @Test("Design §9: a hop without TLS is refused unless its address is this machine's own")
    func plainHops() {
        let node = #"nodes: [{name: a, lmtp: "10.0.0.1:1", pop3: "unix:/run/pop3", trusted: true}]"#
        #expect(problems(node).map(\.path) == ["nodes[0].lmtp"])
        #expect(problems("trust: {mode: local}\n" + Self.base).isEmpty)
        #expect(
            problems("trust: {mode: local}\nnodes: [{name: a, lmtp: \"10.0.0.1:1\", pop3: \"[::1]:2\"}]").map(\.path)
                == ["nodes[0].lmtp"])
        #expect(problems(#"nodes: [{name: a, lmtp: "10.0.0.1:1", pop3: "10.0.0.1:2"}]"#).isEmpty)
    }

    @Test(
        "Listeners: TLS as the service asks for it, and with a certificate",
        arguments: [
            ("smtp", "implicit", true, false), ("submissions", "starttls", true, false), ("pop3s", "none", true, false),
            ("pop3s", nil, false, false), ("smtp", "starttls", false, false), ("smtp", nil, false, true),
            ("pop3s", nil, true, true), ("submission", "none", true, true), ("qmtp", nil, true, true),
            ("qmtp", "none", true, true), ("qmtp", "starttls", true, false), ("qmtp", "implicit", true, false),
        ] as [(String, String?, Bool, Bool)])
    func listenerTLS(service: String, tls: String?, hasCertificate: Bool, isRight: Bool) {
        let mode = tls.map { ", tls: \($0)" } ?? ""
        let found = problems(
            """
            frontends:
              - name: front
                \(hasCertificate ? "tls: {certificate: c.pem, key: k.pem}" : "")
                listeners: [{service: \(service), address: "127.0.0.1:9"\(mode)}]
            nodes: [{name: a, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2"}]
            """)
        #expect(found.isEmpty == isRight, "\(found)")
    }

    @Test(
        "QMQP takes mail without asking who brings it, so its clients' addresses must be given; a Unix socket has modes"
    )
    func qmqpClients() throws {
        func found(_ listener: String, _ more: String = "") -> [ConfigurationProblem] {
            problems(
                "frontends: [{name: front, listeners: [{\(listener)}]}]\n\(more)\n"
                    + "nodes: [{name: a, lmtp: \"127.0.0.1:1\", pop3: \"127.0.0.1:2\"}]")
        }
        let qmqp = #"service: qmqp, address: "127.0.0.1:628""#
        #expect(found(qmqp).map(\.path) == ["frontends[0].listeners[0].clients"])
        #expect(found(qmqp + ", clients: []").map(\.path) == ["frontends[0].listeners[0].clients"])
        #expect(found(qmqp + ", clients: [192.0.2.1, \"2001:db8::/32\"]").isEmpty)
        #expect(found(qmqp + ", clients: [somewhere]").map(\.path).contains("frontends[0].listeners[0].clients[0]"))
        #expect(found(#"service: qmqp, address: "unix:/run/qmqp""#).isEmpty)
        #expect(found(#"service: smtp, address: "127.0.0.1:25", clients: [192.0.2.1]"#).isEmpty)

        let qmtp = #"service: qmtp, address: "127.0.0.1:209""#
        let small = "smtp: {qmtpBufferBytesMax: 1MiB, limits: {messageBytesMax: 2MiB}}"
        #expect(found(qmtp).isEmpty)
        #expect(found(qmtp, small).map(\.path) == ["smtp.qmtpBufferBytesMax"])
        #expect(found(#"service: smtp, address: "127.0.0.1:25""#, small).isEmpty)
    }

    @Test("Paths are relative to HAUBERK_HOME, which may stand in any value, and NAME in those of a process")
    func paths() throws {
        let configuration = try ClusterConfiguration.parse(
            """
            trust: {certificate: "${HAUBERK_HOME}/x/${NAME}.pem", key: "/keys/${NAME}"}
            nodes:
              - {name: a, lmtp: "unix:${HAUBERK_HOME}/a.lmtp", pop3: "unix:${HAUBERK_HOME}/a.pop3"}
              - {name: b, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2", data: "/mnt/${NAME}"}
            """, file: "test.yaml", environment: ["HAUBERK_HOME": "/home/mail"])
        #expect(configuration.nodes[0].lmtp == .unix(path: "/home/mail/a.lmtp"))
        #expect(configuration.nodes.map(\.data) == ["/home/mail/nodes/a", "/mnt/b"])
        #expect(configuration.directory.path == "/home/mail/directory.sqlite")
        #expect(
            configuration.hopIdentity(of: "a")
                == HopIdentity(ca: "/home/mail/certs/ca.pem", certificate: "/home/mail/x/a.pem", key: "/keys/a"))
        let bare = try ClusterConfiguration.parse(Self.base, file: "test.yaml")
        #expect(bare.home.hasPrefix("/") && bare.home.hasSuffix("/.hauberk"))
    }

    @Test("NAME stands for the process's name in every value of frontends and nodes, and is refused elsewhere")
    func processName() throws {
        let configuration = try ClusterConfiguration.parse(
            """
            frontends:
              - name: front
                hostname: ${NAME}.example.test
                tls: &tls {certificate: "${NAME}.pem", key: "${NAME}.key"}
                listeners: [{service: lmtp, address: "unix:/run/${NAME}.sock"}]
              - {name: other, tls: *tls, listeners: [{service: smtp, address: "127.0.0.1:25"}]}
            nodes:
              - {lmtp: "unix:/run/${NAME}.lmtp", pop3: "${NAME}.example.test:1101", name: store}
            """, file: "test.yaml", environment: ["HAUBERK_HOME": "/home/mail"])
        #expect(configuration.nodes[0].lmtp == .unix(path: "/run/store.lmtp"))
        #expect(configuration.nodes[0].pop3 == .tcp(host: "store.example.test", port: 1101))
        #expect(configuration.frontends[0].hostname == "front.example.test")
        #expect(configuration.frontends[0].listeners[0].address == .unix(path: "/run/front.sock"))
        #expect(configuration.frontends.map(\.tls.key) == ["/home/mail/front.key", "/home/mail/other.key"])

        for (line, path) in [
            ("directory: {path: \"${NAME}.sqlite\"}", "directory.path"), ("hostname: \"${NAME}.test\"", "hostname"),
            ("trust: {ca: \"${NAME}.pem\"}", "trust.ca"),
        ] {
            let found = problems(Self.base + line + "\n")
            #expect(found.map(\.path) == [path])
            #expect(found.allSatisfy { $0.line >= 8 && $0.message.contains("there is no ${NAME} here") })
        }
    }

    @Test(
        "Metrics are for this machine only: another address is refused with its line",
        arguments: ["10.0.0.1:9101", "0.0.0.0:9101", "host.example:9101", "unix:/run/metrics"])
    func metricsAddress(address: String) {
        let telemetry = "telemetry: {address: \"\(address)\"}"
        let found = problems(
            """
            frontends:
              - name: front
                listeners: [{service: smtp, address: "127.0.0.1:25"}]
                \(telemetry)
            nodes:
              - {name: a, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2", \(telemetry.replacing("9101", with: "9102"))}
            """)
        #expect(found.map(\.path).contains("frontends[0].telemetry.address"))
        #expect(found.map(\.path).contains("nodes[0].telemetry.address"))
        #expect(Set(found.map(\.line)) == [4, 6])
        #expect(found.contains { $0.message.contains("a TCP port of the loopback interface") })
    }

    @Test("A variable that does not exist is an error, not a folder of that name")
    func unknownVariable() {
        let found = problems(Self.base + "directory: {path: \"${HOME}/directory.sqlite\"}\n")
        #expect(found.map(\.path) == ["directory.path"])
        #expect(found.allSatisfy { $0.message.contains("there is no ${HOME}") })
    }

    @Test("An edit of the nodes without a line in the ring's history is answered with that line")
    func historyLine() throws {
        let found = problems(Self.base + "cluster: {epochs: [a c]}\n")
        #expect(found.count == 1)
        #expect(found[0].message.contains(#"add the line "+b -c""#))
        let moved = try ClusterConfiguration.parse(
            Self.base + "cluster: {epochs: [a c, +b -c]}\n", file: "test.yaml")
        let map = ClusterMap(moved)
        #expect(map.epoch == 2)
        #expect(map.nodes.map(\.name) == ["a", "b"])
        #expect(map.node(named: "b")?.lmtp == .tcp(host: "127.0.0.1", port: 3))
        let alice = try #require(MailboxName("alice@example.test"))
        #expect(map.owners(of: alice).count == 1)
    }

    @Test(
        "No site shares the domains of relays' queues, and no relay is for them",
        arguments: ["world.relay.invalid", "World.RELAY.invalid"])
    func reservedDomains(domain: String) {
        let found = problems(
            Self.base + """
                sites: [{name: east, secretFile: secret, domains: [a.test, \(domain)]}]
                relays: [{name: world, domains: [b.test, \(domain), .relay.invalid], addresses: ["127.0.0.1:5"]}]
                """)
        #expect(
            found.map(\.description) == [
                "test.yaml:8:60: sites[0].domains[1]: world.relay.invalid is where mail waits for relays: "
                    + "expected another domain",
                "test.yaml:9:42: relays[0].domains[1]: world.relay.invalid is where mail waits for relays: "
                    + "expected another domain",
                "test.yaml:9:\(44 + domain.count): relays[0].domains[2]: .relay.invalid is where mail waits for relays: "
                    + "expected another domain",
            ])
        let others = "sites: [{name: east, secretFile: secret, domains: [relay.invalid, a.relay.invalid.test]}]\n"
        #expect(problems(Self.base + others).isEmpty)
    }

    @Test("A server's certificate is pinned or of a CA, and the files lie where others do")
    func serverTrust() throws {
        let both = "ca: ca.pem, pinnedCertificate: /etc/it.pem"
        let found = problems(
            Self.base + """
                sites: [{name: east, secretFile: secret, \(both)}]
                relays: [{name: world, domains: ["*"], addresses: ["127.0.0.1:5"], \(both)}]
                """)
        #expect(found.map(\.path) == ["sites[0].ca", "relays[0].ca"])
        #expect(found.allSatisfy { $0.message == "a certificate is pinned or of a CA: not both" })
        let configuration = try ClusterConfiguration.parse(
            Self.base + """
                sites: [{name: east, secretFile: secret, ca: ca.pem, certificateName: mx.east.test}]
                relays: [{name: world, domains: ["*"], addresses: ["127.0.0.1:5"], pinnedCertificate: it.pem}]
                """, file: "test.yaml", environment: ["HAUBERK_HOME": "/home/mail"])
        #expect(
            configuration.sites[0].trust
                == ServerTrust(ca: "/home/mail/ca.pem", pinnedCertificate: nil, certificateName: "mx.east.test"))
        #expect(
            configuration.relays[0].trust
                == ServerTrust(ca: nil, pinnedCertificate: "/home/mail/it.pem", certificateName: nil))
    }

    @Test("Every line of a file may be broken without a crash")
    func mutilated() {
        let lines = Self.base.split(separator: "\n", omittingEmptySubsequences: false)
        for index in lines.indices {
            for replacement in ["", "  - ", "name: [", "? : {", "&a *a", "!!int x: y", "\u{0}", "  \t- x"] {
                var changed = lines.map(String.init)
                changed[index] = replacement
                _ = problems(changed.joined(separator: "\n"))
            }
        }
    }
}
