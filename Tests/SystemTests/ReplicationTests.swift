import Foundation
import Testing

extension SystemTests {
    /// Every mailbox has two owners of three nodes, and 250 means two durable copies.
    @Suite(
        "Two copies of each mailbox",
        .cluster { text in
            TestCluster.twoCopies(text)
                + "\ndelivery:\n  connectTimeout: 1s\n  reconnectDelayMax: 500ms\n"
        })
    struct ReplicationTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private func message(_ subject: String, octets: Int = 0) -> String {
            let line = String(repeating: "x", count: 98) + "\r\n"
            let body = String(repeating: line, count: octets / 100)
            return "Subject: \(subject)\r\n\r\n" + body + "text of \(subject)\r\n"
        }

        private func deliver(
            _ subject: String, to account: TestCluster.Account, octets: Int = 0
        ) async throws -> String {
            try await cluster.deliver(message(subject, octets: octets), to: account)
        }

        private func subjects(_ account: TestCluster.Account, port: Int = 1110) async throws -> [String] {
            try await cluster.messages(account, port: port).compactMap { message in
                message.split(separator: "\r\n").first { $0.hasPrefix("Subject: ") }.map { String($0.dropFirst(9)) }
            }
        }

        private func restart(_ node: String) async throws {
            try await cluster.restart(node, try #require(TestCluster.storePorts[node]))
        }

        /// Asks until it is so: what nodes do behind a client's back has no moment of its own.
        private func eventually(_ what: String, _ isSo: () async throws -> Bool) async throws {
            for _ in 0..<600 {
                if try await isSo() { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("it never came that \(what)")
        }

        /// Whether both owners hold the same files in `new/`, this many.
        private func isWhole(_ owners: [MailboxPlace], count: Int) -> Bool {
            let names = owners.map { $0.names("new") }
            return names.allSatisfy { $0.count == count && $0 == names[0] }
        }

        /// A new mailbox with so many messages, `1` and so on, which both owners hold.
        private func mailbox(holding count: Int) async throws -> (TestCluster.Account, [MailboxPlace]) {
            let reader = try await cluster.makeAccount()
            let owners = try await cluster.places(of: reader.address)
            for number in 1...count { #expect(try await deliver("\(number)", to: reader).hasPrefix("250")) }
            try await eventually("both hold all") { isWhole(owners, count: count) }
            return (reader, owners)
        }

        @Test("A message is on both owners under one name, byte for byte, when 250 is said")
        func bothCopies() async throws {
            let reader = try await cluster.makeAccount()
            #expect(try await deliver("small", to: reader).hasPrefix("250"))
            #expect(try await deliver("large", to: reader, octets: 700_000).hasPrefix("250"))
            let owners = try await cluster.places(of: reader.address)
            try #require(owners.count == 2)
            try await eventually("both hold both") { isWhole(owners, count: 2) }
            for name in owners[0].names("new") {
                #expect(try owners[0].file("new/\(name)") == owners[1].file("new/\(name)"))
            }
            #expect(try await subjects(reader) == ["small", "large"])
        }

        @Test(
            "While an owner is dead mail is taken, kept and read all the same, and it gets everything when it is back")
        func deadOwner() async throws {
            let reader = try await cluster.makeAccount()
            let owners = try await cluster.places(of: reader.address)
            #expect(try await deliver("before", to: reader).hasPrefix("250"))
            for (round, owner) in owners.enumerated() {
                try await cluster.crash(owner.node)
                let reply = try await deliver("without \(round)", to: reader)
                #expect(reply.hasPrefix("250"), "without \(owner.node): \(reply)")
                #expect(try await deliver("large without \(round)", to: reader, octets: 400_000).hasPrefix("250"))
                let new = ["without \(round)", "large without \(round)"]
                for port in [1110, 1111] { #expect(try await subjects(reader, port: port).suffix(2) == new) }
                try await restart(owner.node)
                // The very next session sees everything, whichever owner serves it.
                #expect(try await subjects(reader).count == 3 + 2 * round)
            }
            try await eventually("both owners hold all") { isWhole(owners, count: 5) }
        }

        @Test("What is deleted while an owner is away stays deleted when it comes back with its copy")
        func deletionStays() async throws {
            let (reader, owners) = try await mailbox(holding: 4)
            try await cluster.crash(owners[0].node)
            let session = try await cluster.login(reader)
            for number in [1, 3] { #expect(try await session.ask("DELE \(number)").hasPrefix("+OK")) }
            #expect(try await session.ask("QUIT").hasPrefix("+OK"))
            #expect(owners[0].names("new").count == 4)
            try await restart(owners[0].node)
            for port in [1110, 1111, 1110] { #expect(try await subjects(reader, port: port) == ["2", "4"]) }
            try await eventually("its files are gone too") { isWhole(owners, count: 2) }
            #expect(owners[0].names("gone") == owners[1].names("gone"))
        }

        @Test("An owner that hangs holds nobody up for long, and has everything when it goes on")
        func hangingOwner() async throws {
            let reader = try await cluster.makeAccount()
            let owners = try await cluster.places(of: reader.address)
            #expect(try await deliver("before", to: reader).hasPrefix("250"))
            try cluster.signal(SIGSTOP, owners[0].node)
            do {
                defer { try? cluster.signal(SIGCONT, owners[0].node) }
                for number in 1...5 { #expect(try await deliver("\(number)", to: reader).hasPrefix("250")) }
                #expect(try await deliver("large", to: reader, octets: 400_000).hasPrefix("250"))
                #expect(try await subjects(reader).count == 7)
            }
            try await eventually("both owners hold all") { isWhole(owners, count: 7) }
            #expect(try await subjects(reader).count == 7)
        }

        @Test("A copy that somebody removes by hand comes back: only a tombstone deletes")
        func foreignRemoval() async throws {
            let (reader, owners) = try await mailbox(holding: 3)
            for owner in owners {
                let name = try #require(owner.names("new").first)
                try FileManager.default.removeItem(atPath: owner.path("new/\(name)"))
                #expect(try await subjects(reader) == ["1", "2", "3"])
                try await eventually("it is back") { isWhole(owners, count: 3) }
            }
        }

        @Test("A message that one owner cannot read keeps none of those behind it from the owner that lost them")
        func damagedSource() async throws {
            let (reader, owners) = try await mailbox(holding: 20)
            let names = owners[1].names("new").sorted()
            try flipByte(of: owners[1].path("new/\(names[1])"))
            try await cluster.crash(owners[0].node)
            try FileManager.default.removeItem(atPath: owners[0].folder)
            try await restart(owners[0].node)
            let outcome = try await Program.run(
                Tree.hauberk, ["repair", reader.address, "--config", cluster.configuration],
                environment: cluster.environment)
            #expect(outcome.status == 1, "\(outcome.outputText)")
            let others = names.filter { $0 != names[1] }
            try await eventually("the others are there") { owners[0].names("new").sorted() == others }
            try await cluster.waitForLog(owners[0].node, "not carried")
        }

        @Test("A message that a Maildir tool delivers to one copy is on both after the next login")
        func foreignDelivery() async throws {
            let reader = try await cluster.makeAccount()
            let owners = try await cluster.places(of: reader.address)
            #expect(try await deliver("ours", to: reader).hasPrefix("250"))
            try Data("Subject: foreign\n\nby hand\n".utf8).write(
                to: URL(fileURLWithPath: owners[1].path("new/9999999999.foreign.host")))
            #expect(try await subjects(reader) == ["ours", "foreign"])
            try await eventually("both hold both") { owners.allSatisfy { $0.names("new").count == 2 } }
            #expect(try await subjects(reader, port: 1111) == ["ours", "foreign"])
        }

        @Test("An owner that cannot store what waits for it elsewhere shows nothing rather than what has changed since")
        func ownerThatCannotStore() async throws {
            let (reader, owners) = try await mailbox(holding: 2)
            // Where a file is in the place of tmp/ nothing can be delivered, as on a disk that is read-only.
            let tmp = owners[0].path("tmp")
            try FileManager.default.removeItem(atPath: tmp)
            try Data().write(to: URL(fileURLWithPath: tmp))
            #expect(try await deliver("3", to: reader).hasPrefix("250"))
            let session = try await cluster.login(reader)
            #expect(try await session.ask("DELE 1").hasPrefix("+OK"))
            #expect(try await session.ask("QUIT").hasPrefix("+OK"))
            #expect(owners[0].names("new").count == 2)

            try await cluster.crash(owners[1].node)
            for port in [1110, 1111] {
                #expect(try await cluster.loginReply(reader, port: port).hasPrefix("-ERR [SYS/TEMP]"))
            }
            try FileManager.default.removeItem(atPath: tmp)
            try FileManager.default.createDirectory(atPath: tmp, withIntermediateDirectories: false)
            for port in [1110, 1111] { #expect(try await subjects(reader, port: port) == ["2", "3"]) }
            try await restart(owners[1].node)
            try await eventually("both owners hold the rest") { isWhole(owners, count: 2) }
        }

        @Test("Two of three nodes dead are too many for two copies: 451, and what was acknowledged can be read")
        func tooFew() async throws {
            let reader = try await cluster.makeAccount()
            let owners = try await cluster.places(of: reader.address)
            #expect(try await deliver("before", to: reader).hasPrefix("250"))
            let third = try #require(TestCluster.storePorts.keys.first { name in !owners.contains { $0.node == name } })
            try await cluster.crash(owners[0].node)
            try await cluster.crash(third)
            #expect(try await deliver("lost", to: reader).hasPrefix("451"))
            #expect(try await subjects(reader).contains("before"))
            try await restart(owners[0].node)
            try await restart(third)
            try await eventually("mail is taken again") { try await deliver("after", to: reader).hasPrefix("250") }
            #expect(try await subjects(reader).last == "after")
        }
    }
}

/// Changes a byte of a message's text, in the file's own place, as a disk does it.
func flipByte(of path: String, at offset: Int = 40) throws {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[offset] ^= 0x01
    let file = try #require(FileHandle(forWritingAtPath: path))
    try file.write(contentsOf: bytes)
    try file.close()
}

/// Where one owner keeps a mailbox.
struct MailboxPlace: Sendable {
    let node: String
    let folder: String

    func path(_ file: String) -> String { "\(folder)/\(file)" }

    /// The names in one of its folders, sorted.
    func names(_ part: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path(part))) ?? []).sorted()
    }

    func file(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path(name))) }
}

extension TestCluster {
    /// The owners of a mailbox, the preferred one first.
    func places(of mailbox: String) async throws -> [MailboxPlace] {
        let text = try await hauberk(["locate", "--mailbox", mailbox, "--json"])
        let owners = try JSONValue(Data(text.utf8))["mailboxes"][0]["owners"]
        return try owners.list.map { owner in
            MailboxPlace(node: try #require(owner["node"].string), folder: try #require(owner["folder"].string))
        }
    }
}
