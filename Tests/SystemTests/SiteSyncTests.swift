import Foundation
import Testing

/// What an operator says about sites: that they rest, and that they are compared.
extension SystemTests.SiteTests {
    /// What a command says that fails.
    private func failure(_ arguments: [String], at cluster: TestCluster) async throws -> String {
        let outcome = try await Program.run(
            Tree.hauberk, arguments + ["--config", cluster.configuration], environment: cluster.environment)
        #expect(outcome.status == 1, "\(arguments): \(outcome.outputText)")
        return outcome.outputText + outcome.errors
    }

    private func counts(_ account: TestCluster.Account, _ sites: TestSites) async throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for name in sites.clusters.keys { counts[name] = try await sites.maildrop(account, at: name).count }
        return counts
    }

    @Test("A paused site is brought nothing, also by nodes that start again, until it is resumed; mail waits for it")
    func pause() async throws {
        try await TestSites.run(["east": ["west"], "west": []]) { sites in
            let east = try sites["east"]
            let reader = try await sites.makeAccount()
            try await deliver("before", to: reader, at: east)
            try await sites.converge(reader, count: 1)
            try await east.hauberk(["site", "pause", "west"])
            try await deliver("waits", to: reader, at: east)
            try await east.crash("store-1")
            try await east.restart("store-1", [2401, 1101])
            try await deliver("waits too", to: reader, at: east)
            try await eventually("both nodes have all of it") { try sites.waiting(at: "east").count == 4 }
            let status = try await east.hauberk(["site", "status"])
            let rows = status.split(separator: "\n").filter { $0.hasPrefix("west") }
            #expect(rows.count == 2 && rows.allSatisfy { $0.contains("paused since 20") }, "\(status)")
            // Longer than it takes to carry.
            try await Task.sleep(for: .seconds(2))
            #expect(try await counts(reader, sites) == ["east": 3, "west": 1])

            try await east.crash("store-2")
            let failed = try await failure(["site", "resume", "west"], at: east)
            #expect(failed.contains("store-2: ") && !failed.contains("store-1: "), "\(failed)")
            try await east.restart("store-2", [2402, 1102])
            try await east.hauberk(["site", "resume", "west"])
            try await sites.converge(reader, count: 3)
            #expect(try await !east.hauberk(["site", "status"]).contains("paused"))
            #expect(try await failure(["site", "pause", "nowhere"], at: east).contains("there are: west"))
        }
    }

    @Test("A node is not taken out while something waits on it for a site, unless that may be lost")
    func removal() async throws {
        try await TestSites.run(["east": ["west"], "west": []]) { sites in
            let east = try sites["east"]
            let reader = try await sites.makeAccount()
            try await east.hauberk(["site", "pause", "west"])
            for number in 0..<3 { try await deliver("\(number)", to: reader, at: east) }
            // A line for each key: the command adds some.
            try east.rewriteConfiguration { text in
                text.replacing(#/cluster: {(.*)}/#) { "cluster:\n  " + $0.1.replacing(", ", with: "\n  ") }
            }
            let sockets = east.home.path
            try await east.hauberk([
                "node", "add", "store-3", "--lmtp", "unix:\(sockets)/3.lmtp", "--pop3", "unix:\(sockets)/3.pop3",
            ])
            try east.start(node: "store-3")
            try await east.waitForLog("store-3", "msg=ready")
            for change in [[], ["node", "drain", "store-1"], ["ring", "settle"]] {
                if !change.isEmpty { try await east.hauberk(change) }
                for name in TestSites.nodes + ["store-3", TestSites.frontend] { _ = try await east.reload(name) }
                try await GrowthStory(cluster: east).untilMoved()
            }
            let refused = try await failure(["node", "remove", "store-1"], at: east)
            #expect(refused.contains("something waits on store-1 for west"), "\(refused)")
            try await east.hauberk(["node", "remove", "store-1", "--lost"])
        }
    }

    @Test("A spool that is full takes nothing more, and mail and deletions go on; a sync brings what was left out")
    func bound() async throws {
        try await TestSites.run(["east": ["west"], "west": []], more: "spoolMessagesMax: 4") { sites in
            let east = try sites["east"]
            let reader = try await sites.makeAccount()
            try await deliver("deleted later", to: reader, at: east)
            let first = try await sites.converge(reader, count: 1)
            try await eventually("nothing waits any more") { try sites.waiting(at: "east").isEmpty }
            try await sites.crash("west")
            for number in 0..<10 { try await deliver("\(number)", to: reader, at: east) }
            try await sites.delete(Set(first.keys), of: reader, at: "east")
            #expect(try sites.waiting(at: "east").count == 8)
            let status = try await east.hauberk(["site", "status"])
            let rows = status.split(separator: "\n").filter { $0.hasPrefix("west") }
            #expect(rows.count == 2 && rows.allSatisfy { $0.contains("needs sync since 20") }, "\(status)")
            #expect(rows.allSatisfy { $0.contains("100 % full") }, "\(status)")
            for node in TestSites.nodes { try await east.waitForLog(node, "spool is full") }

            try await sites.restart("west")
            try await eventually("nothing waits any more") { try sites.waiting(at: "east").isEmpty }
            #expect(try await counts(reader, sites) == ["east": 10, "west": 5])
            #expect(try await east.hauberk(["site", "status"]).contains("needs sync since 20"))
            let summary = try await east.hauberk(["site", "sync", "west"])
            #expect(summary.contains("of 11 messages and deletions offered, 7 came to wait"), "\(summary)")
            try await sites.converge(reader, count: 10)
            #expect(try await !east.hauberk(["site", "status"]).contains("needs sync"))
        }
    }

    @Test("A site that joins late is seeded by a sync: large mail, long maildrops and deletions, and what it has stays")
    func seeding() async throws {
        try await TestSites.run(["east": [], "west": []]) { sites in
            let (east, west) = (try sites["east"], try sites["west"])
            let reader = try await sites.makeAccount()
            let other = try await sites.makeAccount()
            let lonely = try await sites.makeAccount(at: ["east"])
            // More than are asked about at once.
            for number in 0..<270 { try await deliver("\(number)", to: reader, at: east) }
            try await deliver("large", to: other, at: east, octets: 3_000_000)
            try await deliver("deleted", to: other, at: east)
            try await deliver("lonely", to: lonely, at: east)
            try await sites.delete(
                [try #require(try await sites.maildrop(other, at: "east").keys.max())], of: other, at: "east")
            try await deliver("of west", to: other, at: west)
            try await sites.link(["east": ["west"], "west": ["east"]])
            #expect(try await counts(reader, sites) == ["east": 270, "west": 0])

            let summary = try await east.hauberk(["site", "sync", "west"])
            #expect(summary.hasPrefix("3 mailboxes compared with west, 0 the same; of 272 "), "\(summary)")
            #expect(summary.contains("1 mailboxes have no account at west"), "\(summary)")
            try await sites.converge(reader, count: 270)
            // The large message may come after all those.
            try await eventually("nothing waits any more") { try sites.waiting(at: "east").isEmpty }
            #expect(try await counts(other, sites) == ["east": 1, "west": 2])
            try await west.hauberk(["site", "sync", "east"])
            try await sites.converge(other, count: 2)
            try await eventually("nothing waits any more") {
                try sites.waiting(at: "east").isEmpty && sites.waiting(at: "west").isEmpty
            }
            let again = try await east.hauberk(["site", "sync", "west"])
            #expect(again.contains("3 mailboxes compared with west, 2 the same; of 0 "), "\(again)")
        }
    }

    @Test("A site that lost everything, and a node that lost its disk, have all of it again")
    func lostDisks() async throws {
        try await TestSites.run(["east": ["west"], "west": ["east"]]) { sites in
            let east = try sites["east"]
            let readers = [try await sites.makeAccount(), try await sites.makeAccount()]
            for reader in readers {
                for number in 0..<5 { try await deliver("\(number)", to: reader, at: east) }
                let all = try await sites.converge(reader, count: 5)
                try await sites.delete([try #require(all.keys.min())], of: reader, at: "west")
                try await sites.converge(reader, count: 4)
            }
            try await sites.crash("west")
            for node in TestSites.nodes { try sites.loseDisk("west", node) }
            try await east.crash("store-1")
            try sites.loseDisk("east", "store-1")
            try await east.restart("store-1", [2401, 1101])
            try await sites.restart("west")
            for reader in readers { #expect(try await sites.maildrop(reader, at: "west").isEmpty) }
            try await east.hauberk(["site", "sync", "west"])
            for reader in readers { try await sites.converge(reader, count: 4) }
        }
    }

    @Test("A deletion that only one site knows of is not undone by a sync, and told by one")
    func deletions() async throws {
        try await TestSites.run(["east": ["west"], "west": ["east"]]) { sites in
            let (east, west) = (try sites["east"], try sites["west"])
            let reader = try await sites.makeAccount()
            for number in 0..<3 { try await deliver("\(number)", to: reader, at: east) }
            let all = try await sites.converge(reader, count: 3)
            let deleted = try #require(all.keys.min())
            try await west.hauberk(["site", "pause", "east"])
            try await sites.delete([deleted], of: reader, at: "west")
            // Another one, so that there is something to bring.
            try await east.hauberk(["site", "pause", "west"])
            try await deliver("new", to: reader, at: east)
            #expect(try await failure(["site", "sync", "nowhere"], at: east).contains("there are: west"))
            #expect(try await failure(["site", "sync", "west"], at: east).contains("west is paused on store-1"))
            try await east.hauberk(["site", "resume", "west"])
            try await east.hauberk(["site", "sync", "west"])
            try await eventually("the new one is there") { try await sites.maildrop(reader, at: "west").count == 3 }
            #expect(try await counts(reader, sites) == ["east": 4, "west": 3])
            #expect(try await sites.maildrop(reader, at: "west")[deleted] == nil)

            // What waited is lost; only the mailbox knows.
            for node in TestSites.nodes {
                try await west.crash(node)
                try FileManager.default.removeItem(atPath: "\(west.home.path)/nodes/\(node)/spool")
                try await west.restart(node, TestSites.ports[node] ?? [])
            }
            try await west.hauberk(["site", "resume", "east"])
            try await west.hauberk(["site", "sync", "east"])
            let left = try await sites.converge(reader, count: 3)
            #expect(left[deleted] == nil)
        }
    }

    @Test("A sync that cannot compare everything fails and says why; damaged copies are named and not given away")
    func incomplete() async throws {
        try await TestSites.run(["east": [], "west": []]) { sites in
            let east = try sites["east"]
            let reader = try await sites.makeAccount()
            for number in 0..<3 { try await deliver("\(number)", to: reader, at: east) }
            for node in TestSites.nodes { try spoilOne(at: east, node) }
            try await sites.link(["east": ["west"], "west": []])
            let damaged = try await failure(["site", "sync", "west"], at: east)
            #expect(damaged.contains("damaged copies or folders were not given to west"), "\(damaged)")
            try await eventually("the others are there") { try await sites.maildrop(reader, at: "west").count == 2 }
            let logs = TestSites.nodes.map { east.log($0) }.joined()
            #expect(logs.contains("a damaged copy is not given to the site"))

            try await east.crash("store-2")
            let away = try await failure(["site", "sync", "west"], at: east)
            #expect(away.contains("store-2 was not told: ") && away.contains("is not the same on all"), "\(away)")
        }
    }

    @Test("What a site takes never waits on, is named by the status, is told by the log once, and holds up nothing")
    func neverTaken() async throws {
        try await TestSites.run(["east": ["west"], "west": []]) { sites in
            let (east, west) = (try sites["east"], try sites["west"])
            let reader = try await sites.makeAccount()
            try west.rewriteConfiguration { $0 + "\nsmtp: {limits: {messageBytesMax: 100KiB}}\n" }
            try await west.crash("front")
            try await west.restart("front", [2525, 5587, 1110])
            // One is carried whole, the other streams.
            for octets in [300_000, 3_000_000] {
                try await deliver("large", to: reader, at: east, octets: octets)
            }
            try await deliver("small", to: reader, at: east)
            try await eventually("the small one is there") { try await sites.maildrop(reader, at: "west").count == 1 }
            let large = try await sites.maildrop(reader, at: "east").filter { $0.value.count > 200_000 }.keys.sorted()
            var status = ""
            try await eventually("the status names one") {
                status = try await east.hauberk(["site", "status"])
                return status.contains("552 5.3.4") && status.contains("and 1 more")
            }
            #expect(status.contains(large[0]), "\(status)")
            // In this time they are tried again.
            try await Task.sleep(for: .seconds(8))
            for name in large {
                let told = TestSites.nodes.map { node in
                    east.log(node).split(separator: "\n").count {
                        $0.contains("a copy is refused") && $0.contains(name)
                    }
                }
                #expect(told.reduce(0, +) == 1, "\(told)")
            }
        }
    }

    /// Changes a byte of the oldest message that a node has.
    private func spoilOne(at cluster: TestCluster, _ node: String) throws {
        let root = "\(cluster.home.path)/nodes/\(node)/mail"
        let all = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        let oldest = try #require(all.filter { $0.split(separator: "/").dropLast().last == "new" }.min())
        try flipByte(of: "\(root)/\(oldest)")
    }
}
