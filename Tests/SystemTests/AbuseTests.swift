import Testing

extension SystemTests {
    @Suite("What no proper client does", .cluster { $0 + "\nsmtp: {greetingDelay: 200ms}\n" })
    struct AbuseTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private func smtp() async throws -> RawConnection {
            let connection = try RawConnection(port: cluster.port(2525))
            #expect(try await connection.reply()?.hasPrefix("220 ") == true)
            #expect(try await connection.command("EHLO client.example.org")?.hasPrefix("250") == true)
            return connection
        }

        /// Sends `body` by DATA, and whatever it hides behind a false end. Returns the reply to it.
        private func data(_ body: String, to reader: TestCluster.Account) async throws -> String? {
            let connection = try await smtp()
            #expect(try await connection.command("MAIL FROM:<sender@example.org>")?.hasPrefix("250") == true)
            #expect(try await connection.command("RCPT TO:<\(reader.address)>")?.hasPrefix("250") == true)
            #expect(try await connection.command("DATA")?.hasPrefix("354") == true)
            try await connection.send("Subject: one\r\n\r\ntext" + body)
            return try await connection.reply()
        }

        @Test(
            "CVE-2023-51764: nothing but CRLF.CRLF ends a message, and a bare CR or LF refuses it: 550 5.6.11",
            arguments: ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r", "\r\n\u{0}.\n"])
        func smuggling(falseEnd: String) async throws {
            let reader = try await cluster.makeAccount()
            let hidden =
                "MAIL FROM:<admin@example.test>\r\nRCPT TO:<\(reader.address)>\r\nDATA\r\nSubject: smuggled\r\n\r\n"
            let reply = try await data(falseEnd + hidden + "\r\n.\r\n", to: reader)
            #expect(reply?.hasPrefix("550 5.6.11") == true, "\(reply ?? "closed")")
            #expect(try await cluster.messageCount(reader) == 0)
        }

        @Test("CVE-2011-0411: what is sent behind STARTTLS in the same packet is never carried out")
        func startTLSInjection() async throws {
            #expect(try await smtp().command("STARTTLS")?.hasPrefix("220 ") == true)
            let connection = try await smtp()
            try await connection.send("STARTTLS\r\nMAIL FROM:<a@example.org>\r\n")
            let answer = try await connection.rest()
            #expect(answer.hasPrefix("554 5.5.0"), "\(answer)")
            #expect(answer.contains("250 2.1.0") == false)
        }

        @Test("CVE-2011-0411 in POP3: what is sent behind STLS is never carried out")
        func stlsInjection() async throws {
            let proper = try RawConnection(port: cluster.port(1110))
            #expect(try await proper.line()?.hasPrefix("+OK") == true)
            #expect(try await proper.ask("STLS").hasPrefix("+OK"))
            let connection = try RawConnection(port: cluster.port(1110))
            #expect(try await connection.line()?.hasPrefix("+OK") == true)
            try await connection.send("STLS\r\nCAPA\r\nQUIT\r\n")
            let answer = try await connection.rest()
            #expect(answer.hasPrefix("-ERR nothing may follow STLS"), "\(answer)")
            #expect(answer.contains("TOP") == false)
        }

        @Test("A client that talks before the greeting is turned away, and its commands are not carried out")
        func earlyTalker() async throws {
            let connection = try RawConnection(port: cluster.port(2525))
            try await connection.send("EHLO early.example\r\nMAIL FROM:<a@example.org>\r\n")
            let answer = try await connection.rest()
            #expect(answer.hasPrefix("554 5.5.0"), "\(answer)")
            #expect(answer.contains("250 2.1.0") == false)
        }

        @Test("A command line of 100 MB costs the frontend no memory", arguments: [2525, 1110])
        func endlessLine(port: Int) async throws {
            let before = try cluster.residentKilobytes()
            let connection = try RawConnection(port: cluster.port(port))
            _ = try await connection.line()
            let chunk = [UInt8](repeating: UInt8(ascii: "A"), count: 1 << 20)
            for _ in 0..<100 {
                guard try await connection.send(chunk) else { break }
            }
            try await connection.send("\r\nQUIT\r\n")
            let answer = try await connection.rest()
            #expect(answer.hasPrefix(port == 2525 ? "500 5.5.2" : "-ERR line too long"), "\(answer)")
            #expect(try cluster.residentKilobytes() < before + 40_000)
        }

        @Test("A text line of 100 MB in a message costs no memory, and is refused")
        func endlessTextLine() async throws {
            let reader = try await cluster.makeAccount()
            let before = try cluster.residentKilobytes()
            let connection = try await smtp()
            #expect(try await connection.say("MAIL FROM:<a@example.org>").hasPrefix("250"))
            #expect(try await connection.say("RCPT TO:<\(reader.address)>").hasPrefix("250"))
            #expect(try await connection.say("DATA").hasPrefix("354"))
            let chunk = [UInt8](repeating: UInt8(ascii: "A"), count: 1 << 20)
            for _ in 0..<100 {
                guard try await connection.send(chunk) else { break }
            }
            try await connection.send("\r\n.\r\n")
            let reply = try #require(try await connection.reply())
            #expect(reply.hasPrefix("5") || reply.hasPrefix("4"), "\(reply)")
            #expect(try cluster.residentKilobytes() < before + 40_000)
            #expect(try await cluster.messageCount(reader) == 0)
        }
    }
}
