import Testing

extension SystemTests {
    @Suite("Limits that a crowd meets", .cluster { LowLimits.tighten($0) })
    struct FloodTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        @Test("More connections from one address than its limit are told 421, and a place that is free is given again")
        func flood() async throws {
            var held: [RawConnection] = []
            for _ in 0..<LowLimits.connectionsPerAddressMax {
                let connection = try RawConnection(port: cluster.port(2525))
                #expect(try await connection.reply()?.hasPrefix("220 ") == true)
                held.append(connection)
            }
            let oneMore = try RawConnection(port: cluster.port(2525))
            #expect(try await oneMore.rest().hasPrefix("421 "))
            #expect(try await held.removeFirst().command("QUIT")?.hasPrefix("221 ") == true)
            var greeting: String?
            for _ in 0..<100 where greeting?.hasPrefix("220 ") != true {
                greeting = try await RawConnection(port: cluster.port(2525)).reply()
            }
            #expect(greeting?.hasPrefix("220 ") == true)
        }

        @Test("Single bytes do not hold a connection open: 421 4.4.2 when no command came for the idle time")
        func slowLoris() async throws {
            // Of this one process: the other tests' connections may take their time.
            try cluster.rewriteConfiguration { $0.replacing("idleTimeout: 1m", with: "idleTimeout: 2s") }
            #expect(try await cluster.reload("smtp-b").contains("smtp.idleTimeout"))
            let connection = try RawConnection(port: cluster.port(2526))
            _ = try await connection.reply()
            var isOpen = true
            for _ in 0..<600 where isOpen {
                isOpen = try await connection.send("E")
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(!isOpen, "a minute of single bytes")
            let answer = try await connection.rest()
            #expect(answer.hasPrefix("421 4.4.2"), "\(answer)")
        }
    }
}

/// Limits so low that a test can meet them.
private enum LowLimits {
    static let connectionsPerAddressMax = 20

    /// The development cluster's configuration with them.
    static func tighten(_ configuration: String) -> String {
        let limits = """
            smtp:
              connectionsPerAddressMax: \(connectionsPerAddressMax)
              idleTimeout: 1m

            """
        return configuration.contains("\nsmtp:\n")
            ? configuration.replacing("\nsmtp:\n", with: "\n" + limits) : configuration + "\n" + limits
    }
}
