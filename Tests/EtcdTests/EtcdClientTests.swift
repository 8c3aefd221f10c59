import Foundation
import Testing

@testable import Etcd

private struct Compaction: Encodable {
    let revision: EtcdInteger
}

@Suite("The client, with one real member", .serialized, .timeLimit(.minutes(5)))
struct EtcdClientTests {
    @Test("A swap from nothing is won once; then only who names the present revision wins")
    func swaps() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.client { client in
                #expect(try await client.get(key: "/a") == nil)
                guard case .won(let first) = try await client.compareAndSwap(key: "/a", value: [1], expecting: 0) else {
                    Issue.record("the first swap was lost")
                    return
                }
                #expect(try await client.get(key: "/a")?.modRevision == first)
                #expect(try await client.compareAndSwap(key: "/a", value: [2], expecting: 0) == .lost)
                #expect(try await client.compareAndSwap(key: "/a", value: [2], expecting: first + 1) == .lost)
                #expect(try await client.get(key: "/a")?.value == [1])
                let second = try await client.compareAndSwap(key: "/a", value: [2], expecting: first)
                #expect(second != .lost)
                #expect(try await client.get(key: "/a")?.value == [2])
                // A repeat, as after an answer that was lost, is no loss.
                #expect(try await client.compareAndSwap(key: "/a", value: [2], expecting: first) == second)
            }
        }
    }

    @Test("Of many that swap the same revision at once, one wins")
    func race() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.client { client in
                let won = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for octet in UInt8(0)..<16 {
                        group.addTask {
                            try await client.compareAndSwap(key: "/race", value: [octet], expecting: 0) != .lost
                        }
                    }
                    return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(won == 1)
            }
        }
    }

    @Test("A prefix gives its keys only, with any octets as values, and as many as were asked for")
    func prefixes() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.client { client in
                let all = [UInt8](0...255)
                for key in ["/p/b", "/p/a", "/q", "/p", "/p0"] { try await client.put(key: key, value: all) }
                let found = try await client.get(prefix: "/p/")
                #expect(found.keyValues.map(\.key) == ["/p/a", "/p/b"])
                #expect(found.keyValues.allSatisfy { $0.value == all })
                let names = try await client.get(prefix: "/p", keysOnly: true, limit: 3)
                #expect(names.keyValues.map(\.key) == ["/p", "/p/a", "/p/b"])
                #expect(names.keyValues.allSatisfy { $0.value.isEmpty })
            }
        }
    }

    @Test("A key vanishes with its lease, and a watch tells of it; a lease that is over is no lease")
    func leases() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.client { client in
                let lease = try await client.grantLease(.seconds(2))
                try await client.put(key: "/l", value: [7], lease: lease)
                #expect(try await client.keepAlive(lease))
                var watch = client.watch(prefix: "/l").makeAsyncIterator()
                guard case .snapshot(let snapshot) = await watch.next() else {
                    Issue.record("no snapshot first")
                    return
                }
                #expect(snapshot.keyValues.map(\.key) == ["/l"])
                guard case .events(let events) = await watch.next() else {
                    Issue.record("no event")
                    return
                }
                #expect(events.map(\.key) == ["/l"])
                #expect(events.first?.value == nil)
                #expect(try await client.get(key: "/l") == nil)
                #expect(try await client.keepAlive(lease) == false)
                try await client.revoke(lease)
            }
        }
    }

    @Test("A watch tells every change once and in order, though its member is killed and silent meanwhile")
    func watchResumes() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.client(change: { $0.watchSilenceMax = .seconds(1) }) { client in
                try await client.put(key: "/w", value: [0])
                let first = try #require(await client.get(key: "/w")).modRevision
                var watch = client.watch(prefix: "/w", from: first).makeAsyncIterator()
                #expect(await Self.values(&watch, count: 1) == [0])
                // Longer than the silence that ends a connection.
                try await Task.sleep(for: .seconds(3))
                for octet in UInt8(1)...3 { try await client.put(key: "/w", value: [octet]) }
                #expect(await Self.values(&watch, count: 3) == [1, 2, 3])
                await cluster.members[0].kill()
                try await cluster.members[0].start(cluster: cluster.members)
                try await eventually("the member is back") { (try? await client.get(prefix: "/w")) != nil }
                for octet in UInt8(4)...6 { try await client.put(key: "/w", value: [octet]) }
                #expect(await Self.values(&watch, count: 3) == [4, 5, 6])
            }
        }
    }

    @Test("A watch from before a compaction reads the keys anew, and goes on")
    func compaction() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.client { client in
                for octet in UInt8(0)..<5 { try await client.put(key: "/c", value: [octet]) }
                let last = try #require(await client.get(key: "/c")).modRevision
                let _: HeaderAnswer = try await client.transport.ask(
                    "/v3/kv/compaction", Compaction(revision: EtcdInteger(last)))
                var watch = client.watch(prefix: "/c", from: last - 3).makeAsyncIterator()
                guard case .snapshot(let snapshot) = await watch.next() else {
                    Issue.record("no snapshot")
                    return
                }
                #expect(snapshot.keyValues.map(\.value) == [[4]])
                try await client.put(key: "/c", value: [5])
                #expect(await Self.values(&watch, count: 1) == [5])
            }
        }
    }

    @Test("A watch of a store that lost its data reads the keys anew, and goes on")
    func restored() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.client { client in
                for octet in UInt8(0)..<5 { try await client.put(key: "/r", value: [octet]) }
                var watch = client.watch(prefix: "/r").makeAsyncIterator()
                #expect(await watch.next() != nil)
                await cluster.members[0].kill()
                try cluster.members[0].wipe()
                try await cluster.members[0].start(cluster: cluster.members)
                try await eventually("the new store takes it") { (try? await client.put(key: "/r", value: [9])) != nil }
                guard case .snapshot(let snapshot) = await watch.next() else {
                    Issue.record("no snapshot of the new store")
                    return
                }
                #expect(snapshot.keyValues.map(\.value) == [[9]])
            }
        }
    }

    @Test("TLS: members and clients show certificates of one CA, and one without is refused")
    func tls() async throws {
        try await EtcdCluster.with(security: .tls) { cluster in
            try await cluster.client { client in
                try await client.put(key: "/t", value: [1])
                #expect(try await client.get(key: "/t")?.value == [1])
            }
            let changes: [(inout EtcdSettings) -> Void] = [
                {
                    $0.certificate = nil
                    $0.key = nil
                }, { $0.authority = nil },
            ]
            for change in changes {
                try await cluster.client(change: change) { client in
                    await #expect { _ = try await client.get(key: "/t") } throws: { error in
                        guard case .unavailable = error as? EtcdError else { return false }
                        return true
                    }
                }
            }
            await #expect(throws: EtcdError.self) {
                try await cluster.client(change: { $0.authority = "/nonexistent.pem" }) { _ in }
            }
        }
    }

    @Test("With a user: logs in, and again when the member has forgotten the token; a wrong password is refused")
    func users() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.enableUsers(more: nil)
            try await cluster.client { client in
                await #expect { _ = try await client.get(key: "/u") } throws: { error in
                    guard case .refused = error as? EtcdError else { return false }
                    return true
                }
            }
            try await cluster.client(change: { ($0.user, $0.password) = ("root", "wrong") }) { client in
                await #expect { _ = try await client.get(key: "/u") } throws: { error in
                    guard case .refused = error as? EtcdError else { return false }
                    return true
                }
            }
            try await cluster.client(change: { ($0.user, $0.password) = ("root", "secret") }) { client in
                var watch = client.watch(prefix: "/u").makeAsyncIterator()
                #expect(await watch.next() != nil)
                try await client.put(key: "/u", value: [1])
                #expect(await Self.values(&watch, count: 1) == [1])
                await cluster.members[0].kill()
                try await cluster.members[0].start(cluster: cluster.members)
                try await cluster.client(change: { ($0.user, $0.password) = ("root", "secret") }) { other in
                    try await eventually("it is back") { (try? await other.put(key: "/u", value: [2])) != nil }
                }
                #expect(await Self.values(&watch, count: 1) == [2])
                #expect(try await client.get(key: "/u")?.value == [2])
            }
        }
    }

    /// The values of the next events, of which there must be so many.
    private static func values(_ watch: inout EtcdWatch.AsyncIterator, count: Int) async -> [UInt8] {
        var values: [UInt8] = []
        while values.count < count, case .events(let events) = await watch.next() {
            values += events.compactMap { $0.value?.first }
        }
        return values
    }
}
