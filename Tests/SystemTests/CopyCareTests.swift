import Foundation
import Testing

extension SystemTests {
    /// Two copies of each mailbox, and a scrub that begins again all the time.
    @Suite(
        "What is sent again, and what a disk damages",
        .cluster { text in
            TestCluster.twoCopies(text)
                .replacing("storage:\n", with: "storage:\n  scrubInterval: 1s\n")
                + "\ndelivery:\n  connectTimeout: 1s\n  reconnectDelayMax: 500ms\n"
        })
    struct CopyCareTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private func message(_ id: String?, _ text: String) -> String {
            (id.map { "Message-ID: <\($0)@client.test>\r\n" } ?? "") + "Subject: \(text)\r\n\r\n\(text)\r\n"
        }

        private func send(_ message: String, to account: TestCluster.Account, port: Int) async throws {
            let reply = try await cluster.deliver(message, to: account, port: port)
            try #require(reply.hasPrefix("250"), "\(reply)")
        }

        private func subjects(_ account: TestCluster.Account, port: Int = 1110) async throws -> [String] {
            try await cluster.messages(account, port: port).compactMap { message in
                message.split(separator: "\r\n").first { $0.hasPrefix("Subject: ") }.map { String($0.dropFirst(9)) }
            }
        }

        /// Asks until it is so: what nodes do behind a client's back has no moment of its own.
        private func eventually(_ what: String, _ isSo: () async throws -> Bool) async throws {
            for _ in 0..<600 {
                if try await isSo() { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("it never came that \(what)")
        }

        /// Deletes the first message.
        private func deleteFirst(_ account: TestCluster.Account) async throws {
            let session = try await cluster.login(account)
            #expect(try await session.ask("DELE 1").hasPrefix("+OK"))
            #expect(try await session.ask("QUIT").hasPrefix("+OK"))
        }

        // MARK: what is sent again

        @Test("RFC 5321 §6.1: a message that a client sends again, over any frontend, is shown once by every frontend")
        func resent() async throws {
            let reader = try await cluster.makeAccount()
            for port in [2525, 2526, 2525] { try await send(message("1", "one"), to: reader, port: port) }
            for port in [1110, 1111] {
                #expect(try await subjects(reader, port: port) == ["one"])
                let session = try await cluster.login(reader, port: port)
                #expect(try await session.listing("UIDL").count == 1)
                let size = try await session.retrieve(1).count
                #expect(try await session.ask("STAT") == "+OK 1 \(size)")
            }
            let owners = try await cluster.places(of: reader.address)
            #expect(owners.map { $0.names("new").count } == [3, 3])
        }

        @Test("Deleted and sent again, it stays deleted, and nothing of it is left on any owner")
        func deletedAndResent() async throws {
            let reader = try await cluster.makeAccount()
            for port in [2525, 2526] { try await send(message("1", "one"), to: reader, port: port) }
            try await deleteFirst(reader)
            #expect(try await subjects(reader) == [])
            for port in [2526, 2525] { try await send(message("1", "one"), to: reader, port: port) }
            for port in [1110, 1111] { #expect(try await subjects(reader, port: port) == []) }
            try await send(message("2", "two"), to: reader, port: 2526)
            #expect(try await subjects(reader) == ["two"])
            let owners = try await cluster.places(of: reader.address)
            try await eventually("only the other one is left") { owners.allSatisfy { $0.names("new").count == 1 } }
        }

        @Test("What was sent again while an owner was away is shown once when it is back, and deleted with its twin")
        func ownerAway() async throws {
            let reader = try await cluster.makeAccount()
            let owners = try await cluster.places(of: reader.address)
            try await send(message("1", "one"), to: reader, port: 2525)
            try await cluster.crash(owners[0].node)
            try await send(message("1", "one"), to: reader, port: 2526)
            #expect(try await subjects(reader) == ["one"])
            try await cluster.restart(owners[0].node, try #require(TestCluster.storePorts[owners[0].node]))
            #expect(try await subjects(reader) == ["one"])
            try await cluster.crash(owners[1].node)
            try await deleteFirst(reader)
            try await cluster.restart(owners[1].node, try #require(TestCluster.storePorts[owners[1].node]))
            for port in [1110, 1111] { #expect(try await subjects(reader, port: port) == []) }
            try await eventually("no owner has any of it") { owners.allSatisfy { $0.names("new").isEmpty } }
        }

        @Test("Another text with the same Message-ID is another message; without a Message-ID each is one")
        func others() async throws {
            let reader = try await cluster.makeAccount()
            try await send(message("1", "one"), to: reader, port: 2525)
            try await send(message("1", "other"), to: reader, port: 2526)
            for port in [2525, 2526] { try await send(message(nil, "same"), to: reader, port: port) }
            #expect(try await subjects(reader) == ["one", "other", "same", "same"])
        }

        // MARK: scrubbing

        private func quarantine(_ owner: MailboxPlace) -> String {
            owner.folder.replacing("/mail/", with: "/quarantine/")
        }

        @Test(
            "A byte that flips on one owner's disk is found, and the other owner's copy takes its place",
            arguments: [0, 300_000])
        func damage(octets: Int) async throws {
            let reader = try await cluster.makeAccount()
            let line = String(repeating: "x", count: 98) + "\r\n"
            let text = message("1", "one") + String(repeating: line, count: octets / 100)
            try await send(text, to: reader, port: 2525)
            let owners = try await cluster.places(of: reader.address)
            try await eventually("both have it") { owners.allSatisfy { $0.names("new").count == 1 } }
            let name = try #require(owners[0].names("new").first)
            let good = try owners[1].file("new/\(name)")
            for owner in owners {
                try flipByte(of: owner.path("new/\(name)"))
                try await eventually("it is good again") { (try? owner.file("new/\(name)")) == good }
                let aside = try Data(contentsOf: URL(fileURLWithPath: "\(quarantine(owner))/\(name)"))
                #expect(aside.count == good.count && aside != good)
                try await cluster.waitForLog(owner.node, "the damaged copy is replaced")
            }
            for port in [1110, 1111] {
                let shown = try await cluster.messages(reader, port: port)
                #expect(shown.map { $0.hasSuffix(text) } == [true])
            }
        }

        @Test(
            "Without a good copy anywhere the damaged file stays where it is, is named in the log, and is no copy for others"
        )
        func onlyCopy() async throws {
            let reader = try await cluster.makeAccount()
            try await send(message("1", "one"), to: reader, port: 2525)
            let owners = try await cluster.places(of: reader.address)
            try await eventually("both have it") { owners.allSatisfy { $0.names("new").count == 1 } }
            let name = try #require(owners[0].names("new").first)
            try await cluster.crash(owners[1].node)
            try flipByte(of: owners[0].path("new/\(name)"))
            let bad = try owners[0].file("new/\(name)")
            let line = try await cluster.waitForLog(owners[0].node, "the damaged copy stays")
            #expect(line.contains(name))
            #expect(try owners[0].file("new/\(name)") == bad)
            #expect(!FileManager.default.fileExists(atPath: quarantine(owners[0])))
            // The other owner comes back without its file: what is damaged must not become its copy.
            try FileManager.default.removeItem(atPath: owners[1].path("new/\(name)"))
            try await cluster.restart(owners[1].node, try #require(TestCluster.storePorts[owners[1].node]))
            _ = try? await subjects(reader)
            #expect(owners[1].names("new") == [])
        }
    }

    /// Two copies of each mailbox, and nobody looks for damage but who retrieves.
    @Suite(
        "What a client is given of what a disk damages",
        .cluster { text in
            TestCluster.twoCopies(text).replacing("storage:\n", with: "storage:\n  scrubRate: 0\n")
                + "\ndelivery:\n  connectTimeout: 1s\n  reconnectDelayMax: 500ms\n"
        })
    struct DamagedRetrievalTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        /// Messages in a mailbox that have been stored by both owners, and the names of their files in the order of the texts.
        private func deliver(_ texts: [String]) async throws -> (TestCluster.Account, [MailboxPlace], [String]) {
            let reader = try await cluster.makeAccount()
            for text in texts {
                let reply = try await cluster.deliver(text, to: reader, port: 2525)
                try #require(reply.hasPrefix("250"), "\(reply)")
            }
            let owners = try await cluster.places(of: reader.address)
            for _ in 0..<600 where !owners.allSatisfy({ $0.names("new").count == texts.count }) {
                try await Task.sleep(for: .milliseconds(50))
            }
            let stored = owners[0].names("new")
            try #require(owners[1].names("new") == stored)
            let files = try stored.map { String(decoding: try owners[0].file("new/\($0)"), as: UTF8.self) }
            let names = try texts.map { text in
                stored[try #require(files.firstIndex { $0.hasSuffix(text.replacing("\r\n", with: "\n")) })]
            }
            return (reader, owners, names)
        }

        private func text(_ number: Int, octets: Int = 0) -> String {
            "Subject: \(number)\r\n\r\n" + String(repeating: "\(number)\(number)\r\n", count: 1 + octets / 4)
        }

        @Test("The good copy of the other owner, in the same session, also where each answer is waited for")
        func small() async throws {
            let texts = (1...6).map { text($0) }
            let (reader, owners, names) = try await deliver(texts)
            let good = try owners[1].file("new/\(names[3])")
            for (index, name) in names[3...].enumerated() { try damage(name, at: owners[index % 2]) }
            for port in [1110, 1111] {
                let shown = try await cluster.messages(reader, port: port)
                #expect(zip(shown, texts).allSatisfy { $0.hasSuffix($1) } && shown.count == texts.count)
            }
            #expect(try owners[0].file("new/\(names[3])") == good)
            try await cluster.waitForLog(owners[0].node, "the damaged copy is replaced")
        }

        private func retrieve(_ number: Int, _ session: RawConnection) async throws -> String {
            String(decoding: try await session.retrieve(number), as: UTF8.self)
        }

        /// In its last line.
        private func damage(_ name: String, at owner: MailboxPlace) throws {
            try flipByte(of: owner.path("new/\(name)"), at: owner.file("new/\(name)").count - 3)
        }

        @Test("A large one is never whole when it is not good, and soon is")
        func large() async throws {
            let whole = text(1, octets: 300_000)
            let (reader, owners, names) = try await deliver([whole])
            let good = try owners[1].file("new/\(names[0])")
            try damage(names[0], at: owners[0])
            var isGood = false
            for _ in 0..<100 where !isGood {
                let session = try await cluster.login(reader)
                guard let shown = try? await retrieve(1, session) else {
                    try await Task.sleep(for: .milliseconds(50))
                    continue
                }
                isGood = shown.hasSuffix(whole)
                try #require(isGood)
            }
            #expect(isGood)
            for _ in 0..<600 where try owners[0].file("new/\(names[0])") != good {
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(try owners[0].file("new/\(names[0])") == good)
        }

        @Test(
            "Not now, while the other owner is away; and as it is where both copies are damaged",
            arguments: [0, 300_000])
        func noGoodCopy(octets: Int) async throws {
            let (reader, owners, names) = try await deliver([text(1, octets: octets), text(2)])
            for owner in owners { try damage(names[0], at: owner) }
            let bad = try owners.map { try shownFile(of: $0, names[0]) }
            try await cluster.crash(owners[1].node)
            if octets > 0 {
                // It broke off, and is known from then on.
                let session = try await cluster.login(reader)
                await #expect(throws: (any Error).self) { _ = try await retrieve(1, session) }
            }
            let session = try await cluster.login(reader)
            #expect(try await session.ask("RETR 1").hasPrefix("-ERR [SYS/TEMP]"))
            #expect(try await retrieve(2, session).hasSuffix(text(2)))
            #expect(try await session.ask("QUIT").hasPrefix("+OK"))
            try await cluster.restart(owners[1].node, try #require(TestCluster.storePorts[owners[1].node]))
            var shown: String?
            for _ in 0..<100 where shown == nil {
                let session = try await cluster.login(reader)
                shown = try? await retrieve(1, session)
                if shown == nil { try await Task.sleep(for: .milliseconds(100)) }
            }
            let isBad = bad.contains(try #require(shown))
            #expect(isBad)
            #expect(try owners.map { try shownFile(of: $0, names[0]) } == bad)
        }

        @Test(
            "What waits for an owner and is damaged is mended before it is handed over, and let go where it was deleted"
        )
        func heldCopy() async throws {
            let reader = try await cluster.makeAccount()
            let owners = try await cluster.places(of: reader.address)
            let (first, second) = (owners[0], owners[1])
            let third = try #require(TestCluster.storePorts.keys.first { $0 != first.node && $0 != second.node })
            let waiting = MailboxPlace(
                node: third,
                folder: second.folder.replacing("/\(second.node)/", with: "/\(third)/")
                    .replacing("/mail/", with: "/spool/handoff-\(second.node)/"))
            try await cluster.crash(second.node)
            let reply = try await cluster.deliver(text(1), to: reader, port: 2525)
            try #require(reply.hasPrefix("250"), "\(reply)")
            let name = try #require(waiting.names("new").first)
            let good = try first.file("new/\(name)")
            try damage(name, at: waiting)
            let bad = try waiting.file("new/\(name)")
            #expect(bad != good && bad.count == good.count)
            try await restart(second.node)
            try await eventually("it is handed over, and good") {
                waiting.names("new").isEmpty && (try? second.file("new/\(name)")) == good
            }

            try await deleteFirst(reader)
            // As if it had waited on a node that did not hear of the deletion.
            try await cluster.crash(third)
            try FileManager.default.createDirectory(
                atPath: waiting.path("new"), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try bad.write(to: URL(fileURLWithPath: waiting.path("new/\(name)")))
            try await restart(third)
            try await eventually("it is let go") { waiting.names("new").isEmpty }
            #expect(try await cluster.messages(reader) == [])
            // The deletion may have waited, too.
            try await eventually("no owner has it") { owners.allSatisfy { $0.names("new").isEmpty } }
        }

        private func deleteFirst(_ account: TestCluster.Account) async throws {
            let session = try await cluster.login(account)
            #expect(try await session.ask("DELE 1").hasPrefix("+OK"))
            #expect(try await session.ask("QUIT").hasPrefix("+OK"))
        }

        private func restart(_ node: String) async throws {
            try await cluster.restart(node, try #require(TestCluster.storePorts[node]))
        }

        private func eventually(_ what: String, _ isSo: () -> Bool) async throws {
            for _ in 0..<600 {
                if isSo() { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("it never came that \(what)")
        }

        /// As a client is shown it.
        private func shownFile(of place: MailboxPlace, _ name: String) throws -> String {
            String(decoding: try place.file("new/\(name)"), as: UTF8.self).replacing("\n", with: "\r\n")
        }
    }
}
