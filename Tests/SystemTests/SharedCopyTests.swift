import Foundation
import Testing

extension SystemTests {
    /// Messages to several mailboxes that have no `Delivered-To:`, so that a storage node keeps one file of them.
    @Suite(
        "One file for several recipients",
        .cluster { text in
            TestCluster.twoCopies(text)
                + "\ndelivery: {deliveredTo: single, connectTimeout: 1s, reconnectDelayMax: 500ms}\n"
        })
    struct SharedCopyTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private func message(_ subject: String, octets: Int) -> String {
            let line = String(repeating: "x", count: 98) + "\r\n"
            return "Subject: \(subject)\r\n\r\n" + String(repeating: line, count: octets / 100)
        }

        /// The files of a node's mailboxes' messages, by the message's name.
        private func files(_ accounts: [TestCluster.Account]) async throws -> [String: [String: Set<Int>]] {
            var files: [String: [String: Set<Int>]] = [:]
            for account in accounts {
                for place in try await cluster.places(of: account.address) {
                    for name in place.names("new") {
                        let attributes = try FileManager.default.attributesOfItem(atPath: place.path("new/\(name)"))
                        let inode = try #require(attributes[.systemFileNumber] as? Int)
                        files[name, default: [:]][place.node, default: []].insert(inode)
                    }
                }
            }
            return files
        }

        @Test(
            "A message to several is the same for each at every frontend, and one file on each node; one to one has its address",
            arguments: [500, 400_000])
        func severalRecipients(octets: Int) async throws {
            var readers: [TestCluster.Account] = []
            for _ in 0..<6 { readers.append(try await cluster.makeAccount()) }
            let text = message("all", octets: octets)
            #expect(try await cluster.smtp().deliver(text, to: readers.map(\.address)).hasPrefix("250"))
            var seen: Set<String> = []
            for reader in readers {
                for port in [1110, 1111] { seen.formUnion(try await cluster.messages(reader, port: port)) }
            }
            let got = try #require(seen.first)
            #expect(seen.count == 1)
            #expect(got.hasPrefix("Return-Path: <sender@example.org>\r\nReceived: ") && got.hasSuffix("\r\n" + text))
            let files = try await files(readers)
            #expect(files.count == 1)
            #expect(files.values.allSatisfy { $0.values.allSatisfy { $0.count == 1 } })

            #expect(try await cluster.deliver(message("one", octets: octets), to: readers[0]).hasPrefix("250"))
            let last = try #require(try await cluster.messages(readers[0]).last)
            #expect(
                last.hasPrefix("Return-Path: <sender@example.org>\r\nDelivered-To: \(readers[0].address)\r\nReceived: ")
            )
        }

        @Test("A node that was dead gets the same bytes when it is back")
        func deadNode() async throws {
            var readers: [TestCluster.Account] = []
            for node in TestCluster.storePorts.keys.sorted() { readers.append(try await cluster.makeAccount(on: node)) }
            try await cluster.crash("store-2")
            let text = message("without one", octets: 500)
            #expect(try await cluster.smtp().deliver(text, to: readers.map(\.address)).hasPrefix("250"))
            try await cluster.restart("store-2", try #require(TestCluster.storePorts["store-2"]))
            var seen: Set<String> = []
            for reader in readers { seen.formUnion(try await cluster.messages(reader)) }
            #expect(seen.count == 1)
            for reader in readers {
                let places = try await cluster.places(of: reader.address)
                var names = places.map { $0.names("new") }
                for _ in 0..<600 where names.contains(where: { $0.count != 1 }) {
                    try await Task.sleep(for: .milliseconds(50))
                    names = places.map { $0.names("new") }
                }
                #expect(names.count == 2 && names[0].count == 1 && names[0] == names[1])
                let bytes = try places.map { try $0.file("new/\(names[0][0])") }
                #expect(bytes[0] == bytes[1] && bytes[0].starts(with: Data("Return-Path: <sender@example.org>\n".utf8)))
            }
        }

        @Test("What waits for a relay keeps its recipient, whoever else the message is for")
        func relayed() async throws {
            let sink = try await MailSink(.pipelining)
            defer { sink.stop() }
            let configuration =
                TestCluster.twoNodes(named: "alike").replacing("delivery: {", with: "delivery: {deliveredTo: single, ")
                + "relays:\n  - {name: elsewhere, domains: [elsewhere.test], addresses: [\"localhost:\(sink.port)\"], tls: none}\n"
            try await TestCluster.run(change: { _ in configuration }) {
                try await $0.hauberk(["certs", "listener"])
            } _: { cluster in
                let readers = [try await cluster.makeAccount(), try await cluster.makeAccount()]
                let others = ["one@elsewhere.test", "two@elsewhere.test"]
                let reply = try await cluster.send(
                    "all", to: others + readers.map(\.address), from: "sender@example.org")
                #expect(reply.hasPrefix("250"))
                try await sink.waitFor(2)
                let relayed = try sink.messages()
                #expect(relayed.map(\.recipient).sorted() == others)
                #expect(relayed.allSatisfy { $0.original == TestRelays.message("all") })
                let read = [try await cluster.messages(readers[0]), try await cluster.messages(readers[1])]
                #expect(read[0].count == 1 && read[0] == read[1] && !read[0][0].contains("Delivered-To:"))
            }
        }
    }
}
