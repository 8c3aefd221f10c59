import Foundation
import Synchronization
import Testing

extension SystemTests {
    @Suite("Behind a balancer: the PROXY protocol", .cluster { Balancer.announce($0) })
    struct ProxyTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        enum Version: CaseIterable {
            case line, binary

            /// What a balancer sends ahead for a client at 192.0.2.`host`.
            func header(host: UInt8) -> [UInt8] {
                switch self {
                case .line:
                    return Array("PROXY TCP4 192.0.2.\(host) 198.51.100.1 40000 25\r\n".utf8)
                case .binary:
                    let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
                    let addresses: [UInt8] = [192, 0, 2, host, 198, 51, 100, 1, 0x9C, 0x40, 0, 25]
                    return signature + [0x21, 0x11, 0, UInt8(addresses.count)] + addresses
                }
            }
        }

        @Test("The client's address is in Received: and in the log", arguments: Version.allCases)
        func smtp(version: Version) async throws {
            let reader = try await cluster.makeAccount()
            let host: UInt8 = version == .line ? 71 : 72
            let connection = try await cluster.smtp(2526, before: version.header(host: host))
            #expect(try await connection.deliver("Subject: x\r\n\r\n", to: [reader.address]).hasPrefix("250"))
            let message = try #require(try await cluster.messages(reader).first)
            #expect(message.contains("Received: from client.example.org ([192.0.2.\(host)])"), "\(message)")
            try await cluster.waitForLog("smtp-b", "client=192.0.2.\(host)")
        }

        @Test("A header that comes byte by byte is one")
        func slowly() async throws {
            let connection = try RawConnection(port: cluster.port(2526))
            for byte in Version.binary.header(host: 73) { try await connection.send([byte]) }
            #expect(try await connection.reply()?.hasPrefix("220 ") == true)
        }

        @Test("POP3 behind a balancer: the log has the client's address", arguments: Version.allCases)
        func pop3(version: Version) async throws {
            let reader = try await cluster.makeAccount()
            let host: UInt8 = version == .line ? 74 : 75
            let connection = try RawConnection(port: cluster.port(1111))
            try await connection.send(version.header(host: host))
            #expect(try await connection.line()?.hasPrefix("+OK") == true)
            #expect(try await connection.login(reader).hasPrefix("+OK"))
            #expect(try await connection.ask("STAT") == "+OK 0 0")
            try await cluster.waitForLog("pop3-b", "client=192.0.2.\(host)")
        }

        @Test("With TLS from the first byte the header comes before TLS", arguments: Version.allCases)
        func pop3s(version: Version) async throws {
            let reader = try await cluster.makeAccount()
            let host: UInt8 = version == .line ? 76 : 77
            let outcome = try await TLSPeer(port: cluster.port(1995), before: version.header(host: host))
                .say("USER \(reader.address)\r\n|PASS \(reader.password)\r\n|STAT\r\n|QUIT\r\n")
            #expect(outcome.outputText.contains("\r\n+OK 0 0\r\n"), "\(outcome.outputText)\(outcome.errors)")
            try await cluster.waitForLog("pop3-a", "client=192.0.2.\(host)")
        }

        @Test("A balancer that sends no header, or a broken one, is cut off without a word", arguments: [2526, 1111])
        func noHeader(port: Int) async throws {
            for words in ["EHLO client.example.org\r\n", "CAPA\r\n", "PROXY TCP4 192.0.2.1\r\n", "PROXY\r\n"] {
                let connection = try RawConnection(port: cluster.port(port))
                try await connection.send(words)
                #expect(try await connection.rest() == "")
            }
        }

        @Test("TLS without a header in front is cut off")
        func noHeaderBeforeTLS() async throws {
            let outcome = try await TLSPeer(port: cluster.port(1995)).say("QUIT\r\n")
            #expect(outcome.output.isEmpty)
            #expect(!outcome.errors.contains("BEGIN CERTIFICATE"))
        }

        @Test("Who is no balancer may not say who he is")
        func notFromABalancer() async throws {
            let connection = try RawConnection(port: cluster.port(2525))
            try await connection.send(Version.line.header(host: 78) + Array("QUIT\r\n".utf8))
            #expect(try await connection.rest().contains("250") == false)
            #expect(cluster.logCount("smtp-a", "192.0.2.78") == 0)
        }

        @Test("Limits for each address count the clients' addresses, not the balancer's")
        func limits() async throws {
            var held: [RawConnection] = []
            for host in UInt8(1)...3 {
                for _ in 0..<Balancer.connectionsPerAddressMax {
                    held.append(try await cluster.smtp(2526, before: Version.line.header(host: host)))
                }
            }
            let oneMore = try RawConnection(port: cluster.port(2526))
            try await oneMore.send(Version.binary.header(host: 2))
            #expect(try await oneMore.rest().hasPrefix("421 "))
            _ = try await cluster.smtp(2526, before: Version.binary.header(host: 4))
            for connection in held { #expect(try await connection.say("NOOP").hasPrefix("250")) }
        }

        @Test("A wrong password slows the client down, not all that come through the balancer")
        func loginDelay() async throws {
            let reader = try await cluster.makeAccount()
            let guesser = try RawConnection(port: cluster.port(1111))
            try await guesser.send(Version.line.header(host: 90))
            _ = try await guesser.line()
            _ = try await guesser.ask("USER nobody@example.test")
            #expect(try await guesser.ask("PASS wrong").hasPrefix("-ERR [AUTH]"))
            _ = try await guesser.ask("USER nobody@example.test")
            try await guesser.send("PASS wrong\r\n")
            let finished = Mutex<[String]>([])
            async let second: String? = {
                let answer = try await guesser.line()
                finished.withLock { $0.append("guesser") }
                return answer
            }()
            let other = try RawConnection(port: cluster.port(1111))
            try await other.send(Version.line.header(host: 91))
            _ = try await other.line()
            #expect(try await other.login(reader).hasPrefix("+OK"))
            finished.withLock { $0.append("other") }
            #expect(try await second?.hasPrefix("-ERR [AUTH]") == true)
            #expect(finished.withLock { $0 } == ["other", "guesser"])
        }
    }
}

/// The development cluster with a balancer in front of all but the first SMTP frontend and the first POP3 listener.
private enum Balancer {
    static let connectionsPerAddressMax = 2

    static func announce(_ configuration: String) -> String {
        var text = configuration
        for port in [2526, 1995, 1111] {
            text = text.replacing("\"127.0.0.1:\(port)\"", with: "\"127.0.0.1:\(port)\", proxyFrom: [127.0.0.1/32]")
        }
        // A login takes less than this delay, however busy the machine is.
        text = text.replacing("authentication:\n", with: "authentication:\n  throttle: {delay: 5s}\n")
        return text + "\nsmtp: {connectionsPerAddressMax: \(connectionsPerAddressMax)}\n"
    }
}
