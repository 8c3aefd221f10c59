import Foundation
import Testing

extension SystemTests {
    @Suite("Sites that replicate to each other", .serialized)
    struct SiteTests {
        func message(_ subject: String, octets: Int = 0) -> String {
            let line = String(repeating: "x", count: 98) + "\r\n"
            return "Subject: \(subject)\r\n\r\n.dot\r\n\(String(repeating: line, count: octets / 100))Grüße\r\n"
        }

        func deliver(
            _ subject: String, to account: TestCluster.Account, at cluster: TestCluster, octets: Int = 0
        ) async throws {
            let reply = try await cluster.deliver(message(subject, octets: octets), to: account)
            try #require(reply.hasPrefix("250"), "\(reply)")
        }

        func eventually(_ what: String, _ isSo: () async throws -> Bool) async throws {
            for _ in 0..<600 {
                if try await isSo() { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("it never came that \(what)")
        }

        @Test("Both sites take mail and deletions, and show one maildrop: the same UIDLs, the same bytes")
        func bothWays() async throws {
            try await TestSites.run(["east": ["west"], "west": ["east"]]) { sites in
                let reader = try await sites.makeAccount()
                for number in 0..<5 {
                    try await deliver("east \(number)", to: reader, at: sites["east"])
                    try await deliver("west \(number)", to: reader, at: sites["west"])
                }
                // Larger than what is carried whole in memory.
                try await deliver("large", to: reader, at: sites["east"], octets: 3_000_000)
                let all = try await sites.converge(reader, count: 11)
                let names = all.keys.sorted()
                try await sites.delete(Set(names[0..<3]), of: reader, at: "east")
                try await sites.delete(Set(names[3..<6]), of: reader, at: "west")
                let left = try await sites.converge(reader, count: 5)
                #expect(Set(left.keys) == Set(names[6...]))
                try await eventually("nothing waits any more") {
                    try sites.waiting(at: "east").isEmpty && sites.waiting(at: "west").isEmpty
                }
            }
        }

        @Test("A site that was killed gets what came and went meanwhile, and the other one takes mail all the time")
        func outage() async throws {
            try await TestSites.run(["east": ["west"], "west": ["east"]]) { sites in
                let reader = try await sites.makeAccount()
                try await deliver("before", to: reader, at: sites["east"])
                let before = try await sites.converge(reader, count: 1)
                try await sites.crash("west")
                for number in 0..<10 { try await deliver("meanwhile \(number)", to: reader, at: sites["east"]) }
                try await sites.delete(Set(before.keys), of: reader, at: "east")
                // Also what a node kept that is killed before the other site is back.
                try await sites["east"].crash("store-1")
                try await sites.restart("west")
                try await sites["east"].restart("store-1", [2401, 1101])
                let after = try await sites.converge(reader, count: 10)
                #expect(Set(after.keys).isDisjoint(with: before.keys))
                try await eventually("nothing waits any more") { try sites.waiting(at: "east").isEmpty }
            }
        }

        @Test("A copy that is damaged while it waits for a site is mended from another owner's, and then carried")
        func damaged() async throws {
            try await TestSites.run(["east": ["west"], "west": []]) { sites in
                let reader = try await sites.makeAccount()
                try await sites.crash("west")
                try await deliver("damaged", to: reader, at: sites["east"])
                let owners = try await sites["east"].places(of: reader.address)
                try await eventually("both owners have it") { owners.allSatisfy { $0.names("new").count == 1 } }
                let name = try #require(owners[0].names("new").first)
                let good = try owners[1].file("new/\(name)")
                // What waits is the same file.
                try flipByte(of: owners[0].path("new/\(name)"), at: good.count - 3)
                #expect(try owners[0].file("new/\(name)") != good)
                try await sites.restart("west")
                let shown = try await sites.converge(reader, count: 1)
                let text = String(decoding: good, as: UTF8.self).replacing("\n", with: "\r\n")
                #expect(shown.values.map { String(decoding: $0, as: UTF8.self) } == [text])
                try await eventually("nothing waits any more") { try sites.waiting(at: "east").isEmpty }
            }
        }

        @Test("In a ring of sites mail passes on to the next one, and does not go round for ever")
        func ring() async throws {
            try await TestSites.run(["a": ["b"], "b": ["c"], "c": ["a"]]) { sites in
                let reader = try await sites.makeAccount()
                for site in ["a", "b", "c"] { try await deliver("from \(site)", to: reader, at: sites[site]) }
                let all = try await sites.converge(reader, count: 3)
                try await sites.delete([try #require(all.keys.min())], of: reader, at: "b")
                try await sites.converge(reader, count: 2)
                try await eventually("nothing waits any more") {
                    try ["a", "b", "c"].allSatisfy { try sites.waiting(at: $0).isEmpty }
                }
                // Each message makes two journeys: it does not come back to where it is from.
                for site in ["a", "b", "c"] {
                    #expect(try sites[site].logCount("front", "verdict=accepted") <= 3 + 1)
                }
            }
        }

        @Test("A site with another secret is not let in; its mail waits, and is delivered at home all the same")
        func wrongSecret() async throws {
            try await TestSites.run(["east": ["west"], "west": []]) { sites in
                let reader = try await sites.makeAccount()
                _ = try sites["west"].home.write("secret", "known to one site only\n")
                try await sites["west"].crash("front")
                try await sites["west"].restart("front", [2525, 5587, 1110])
                try await deliver("waits", to: reader, at: sites["east"])
                #expect(try await sites["east"].messages(reader).count == 1)
                try await sites["west"].waitForLog("front", "login refused")
                #expect(try await sites["west"].messages(reader).isEmpty)
                #expect(try !sites.waiting(at: "east").isEmpty)
                var status = ""
                try await eventually("the reason is told") {
                    status = try await sites["east"].hauberk(["site", "status"])
                    return status.contains("535")
                }
                let lines = status.split(separator: "\n").filter { $0.hasPrefix("west") }
                #expect(lines.count == 2)
                #expect(lines.allSatisfy { $0.contains(#/ 1 +0 +[\d.]+ B +\d+ s +never/#) }, "\(status)")
            }
        }

        @Test("A site may not bring what is not shared with it, and is not brought it")
        func otherDomain() async throws {
            try await TestSites.run(["east": ["west"], "west": []], domains: "[other.test]") { sites in
                let reader = try await sites.makeAccount()
                try await deliver("stays", to: reader, at: sites["east"])
                #expect(try sites.waiting(at: "east").isEmpty)
                #expect(try await sites["west"].messages(reader).isEmpty)
                // As a site would that does not keep to it.
                let connection = try await sites["west"].smtp(5587)
                let login = Data("\0east@site.invalid\0known to two sites".utf8).base64EncodedString()
                #expect(try await connection.say("AUTH PLAIN \(login)").hasPrefix("235"))
                #expect(try await connection.say("MAIL FROM:<> XNAME=1.x XCONTENT=copy XPATH=east").hasPrefix("250"))
                let reply = try await connection.say("RCPT TO:<\(reader.address)> XMAILBOX=\(reader.address)")
                #expect(reply.hasPrefix("550 5.7.1"), "\(reply)")
            }
        }

        @Test("What has no account at the other site waits there, and does not hold up the others")
        func unknownAccount() async throws {
            try await TestSites.run(["east": ["west"], "west": []]) { sites in
                let reader = try await sites.makeAccount()
                let lonely = try await sites.makeAccount(at: ["east"])
                try await deliver("lonely", to: lonely, at: sites["east"])
                try await deliver("common", to: reader, at: sites["east"])
                try await sites.converge(reader, count: 1)
                let folder = "/\(lonely.address.prefix { $0 != "@" })/"
                #expect(try sites.waiting(at: "east").contains { $0.contains(folder) })
                try await sites["west"].add(lonely, options: [])
                try await sites.converge(lonely, count: 1)
            }
        }
    }
}
