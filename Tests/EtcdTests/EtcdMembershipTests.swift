import Foundation
import Logging
import Testing

@testable import Etcd

@Suite("Memberships, with one real member", .serialized, .timeLimit(.minutes(5)))
struct EtcdMembershipTests {
    @Test("The present text comes first, and then each that takes its place; one that is no text changes nothing")
    func changes() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.membership { membership in
                #expect(try await membership.read() == nil)
                guard case .won(let first) = try await membership.replace("one", expecting: 0) else {
                    Issue.record("the first text was not taken")
                    return
                }
                #expect(try await membership.read() == .init(text: "one", revision: first))
                #expect(try await membership.replace("other", expecting: 0) == .lost)
                var changes = membership.changes().makeAsyncIterator()
                #expect(await changes.next() == "one")
                try await membership.client.put(key: membership.key, value: [0xFF, 0xFE])
                await #expect(throws: EtcdMembershipError.notUTF8) { _ = try await membership.read() }
                try await membership.client.put(key: membership.key + "2", value: Array("not ours".utf8))
                try await membership.client.put(key: membership.key, value: Array("two".utf8))
                #expect(await changes.next() == "two")
                await #expect(throws: EtcdError.self) {
                    _ = try await membership.replace(
                        String(repeating: "x", count: EtcdMembership.textBytesMax + 1), expecting: 0)
                }
            }
        }
    }

    @Test("A process is listed while it is registered, again after its lease was lost, and not after its end")
    func registration() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.membership { membership in
                // Where the machine is busy, a short lease runs out before it is renewed.
                let registration = Task { await membership.register("store-1", leaseTime: .seconds(9)) }
                var lease: Int64?
                try await eventually("it is registered") {
                    lease = try await Self.lease(of: "store-1", in: membership)
                    return lease != nil
                }
                #expect(try await membership.alive() == ["store-1"])
                try await membership.client.revoke(EtcdLease(identity: try #require(lease)))
                try await eventually("it is registered anew") {
                    let other = try await Self.lease(of: "store-1", in: membership)
                    return other != nil && other != lease
                }
                // Names that no process can have are somebody else's.
                for name in ["", "a/b", "a\nb", String(repeating: "x", count: 33)] {
                    try await membership.client.put(key: membership.alivePrefix + name, value: [])
                }
                #expect(try await membership.alive() == ["store-1"])
                registration.cancel()
                await registration.value
                #expect(try await membership.alive() == [])
            }
        }
    }

    private static func lease(of name: String, in membership: EtcdMembership) async throws -> Int64? {
        let found: RangeAnswer = try await membership.client.transport.ask(
            "/v3/kv/range", RangeRequest(key: Data((membership.alivePrefix + name).utf8)))
        return found.kvs?.first?.lease?.value
    }

    @Test("A user who may use what begins with the prefix, and nothing else, is enough")
    func permissions() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.enableUsers(more: ("mail", "/hauberk/mail"))
            try await cluster.client(change: { ($0.user, $0.password) = ("mail", "secret") }) { client in
                await #expect { _ = try await client.get(key: "/other") } throws: { error in
                    guard case .refused(7, _) = error as? EtcdError else { return false }
                    return true
                }
                let membership = EtcdMembership(client: client, prefix: "/hauberk/mail", log: client.log)
                var changes = membership.changes().makeAsyncIterator()
                #expect(try await membership.replace("one", expecting: 0) != .lost)
                #expect(await changes.next() == "one")
                let registration = Task { await membership.register("store-1", leaseTime: .seconds(2)) }
                try await eventually("it is registered") { try await membership.alive() == ["store-1"] }
                registration.cancel()
                await registration.value
                #expect(try await membership.alive() == [])
            }
        }
    }

    @Test("A process that died is listed until its lease is over")
    func death() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.membership { membership in
                let lease = try await membership.client.grantLease(.seconds(2))
                try await membership.client.put(key: membership.alivePrefix + "store-2", value: [], lease: lease)
                try await eventually("the lease is over") { try await membership.alive().isEmpty }
            }
        }
    }

    @Test("A source takes what extends the known, refuses what is older or wrong, and keeps the last in its cache")
    func source() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.membership { membership in
                let cache = MembershipCache(path: "\(cluster.folder)/cache.yaml")
                let source = MembershipSource<Int>(
                    etcd: membership, cache: cache, log: Logger(label: "membership"), reading: Epochs.read)
                await #expect {
                    _ = try await source.start(patience: .zero)
                } throws: {
                    ($0 as? MembershipUnknown)?.reason == .absent && "\($0)".contains("hauberk membership init")
                }
                try await membership.client.put(key: membership.key, value: Array("2".utf8))
                let held = try await source.start(patience: .zero)
                #expect(held.membership == 2)
                var changes = source.changes(after: held).makeAsyncIterator()
                for text in ["1", "wrong", "4"] {
                    try await membership.client.put(key: membership.key, value: Array(text.utf8))
                }
                #expect(await changes.next()?.text == "4")
                #expect(try cache.load() == "4")
                // An etcd that went back, or was emptied, does not take the process with it.
                try await membership.client.put(key: membership.key, value: Array("3".utf8))
                #expect(try await source.start(patience: .zero).membership == 4)
                await cluster.members[0].kill()
                try cluster.members[0].wipe()
                try await cluster.members[0].start(cluster: cluster.members)
                try await eventually("the new store answers") {
                    do {
                        return try await membership.read() == nil
                    } catch {
                        return false
                    }
                }
                #expect(try await source.start(patience: .zero).membership == 4)
            }
        }
    }

    @Test("A cache that is no text, or that is wrong, is as good as none")
    func brokenCache() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.membership { membership in
                let cache = MembershipCache(path: "\(cluster.folder)/cache.yaml")
                let source = MembershipSource<Int>(
                    etcd: membership, cache: cache, log: Logger(label: "membership"), reading: Epochs.read)
                try await membership.client.put(key: membership.key, value: Array("5".utf8))
                for broken in [Data([0xFF]), Data("wrong".utf8), Data(count: EtcdMembership.textBytesMax + 1)] {
                    try broken.write(to: URL(fileURLWithPath: cache.path))
                    #expect(try await source.start(patience: .zero).membership == 5)
                    #expect(try cache.load() == "5")
                }
                let nowhere = MembershipSource<Int>(
                    etcd: membership, cache: MembershipCache(path: "/nonexistent/cache.yaml"),
                    log: Logger(label: "membership"), reading: Epochs.read)
                #expect(try await nowhere.start(patience: .zero).membership == 5)
            }
        }
    }
}
