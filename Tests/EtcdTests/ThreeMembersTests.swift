import Foundation
import Logging
import Testing

@testable import Etcd

@Suite("Memberships, with three real members", .serialized, .timeLimit(.minutes(10)))
struct ThreeMembersTests {
    @Test("A killed leader stops neither changes nor their watch, nor what is registered")
    func killedLeader() async throws {
        try await EtcdCluster.with(members: 3) { cluster in
            try await cluster.membership { membership in
                var changes = membership.changes().makeAsyncIterator()
                #expect(try await membership.replace("one", expecting: 0) != .lost)
                #expect(await changes.next() == "one")
                let registration = Task { await membership.register("store-1", leaseTime: .seconds(10)) }
                try await eventually("store-1 is registered") { try await membership.alive() == ["store-1"] }

                let leader = try await cluster.leader()
                await leader.kill()
                let revision = try await Self.present(membership).revision
                try await Self.replace("two", expecting: revision, membership)
                #expect(try await changes.first("two") { $0 == "two" } == "two")
                #expect(try await membership.alive() == ["store-1"])

                try await leader.start(cluster: cluster.members)
                try await Self.replace("three", expecting: Self.present(membership).revision, membership)
                #expect(try await changes.first("three") { $0 == "three" } == "three")
                registration.cancel()
                await registration.value
                #expect(try await membership.alive() == [])
            }
        }
    }

    @Test("With two of three dead a process starts from its cache, changes fail clearly, and all goes on afterwards")
    func majorityDead() async throws {
        try await EtcdCluster.with(members: 3) { cluster in
            let cache = MembershipCache(path: "\(cluster.folder)/cache.yaml")
            try await cluster.membership { membership in
                #expect(try await membership.replace("1", expecting: 0) != .lost)
                let source = Self.source(membership, cache)
                var held = try await source.start(patience: .seconds(60))
                #expect(held.membership == 1)
                #expect(try cache.load() == "1")
                let revision = try await Self.present(membership).revision

                for member in cluster.members.prefix(2) { await member.kill() }
                await #expect { _ = try await membership.replace("2", expecting: revision) } throws: { error in
                    guard case .unavailable(let reasons) = error as? EtcdError else { return false }
                    return reasons.count == 3
                }
                held = try await Self.source(membership, cache).start(patience: .zero)
                #expect(held.membership == 1)
                let other = MembershipCache(path: "\(cluster.folder)/other.yaml")
                await #expect {
                    _ = try await Self.source(membership, other).start(patience: .zero)
                } throws: { error in
                    guard case .unavailable = (error as? MembershipUnknown)?.reason else { return false }
                    return true
                }

                var changes = source.changes(after: held).makeAsyncIterator()
                for member in cluster.members.prefix(2) { try await member.start(cluster: cluster.members) }
                // The attempt that was not confirmed may have been taken, or not.
                let present = try await Self.present(membership)
                try await Self.replace("3", expecting: present.revision, membership)
                #expect(try await changes.first("3") { $0.membership == 3 }.membership == 3)
                #expect(try cache.load() == "3")
            }
        }
    }

    /// The membership as soon as a majority answers.
    private static func present(_ membership: EtcdMembership) async throws -> EtcdMembership.Version {
        var version: EtcdMembership.Version?
        try await eventually("a majority answers") {
            version = try? await membership.read()
            return version != nil
        }
        return try #require(version)
    }

    /// Writes until a majority has it; the same text again is no loss.
    private static func replace(_ text: String, expecting revision: Int64, _ membership: EtcdMembership) async throws {
        try await eventually("\(text) is taken") {
            guard let swap = try? await membership.replace(text, expecting: revision) else { return false }
            #expect(swap != .lost)
            return true
        }
    }

    private static func source(_ membership: EtcdMembership, _ cache: MembershipCache) -> MembershipSource<Int> {
        MembershipSource(etcd: membership, cache: cache, log: Logger(label: "membership"), reading: Epochs.read)
    }
}

/// Texts of tests: a number, which may not become less.
enum Epochs {
    struct Refused: Error, CustomStringConvertible {
        let description: String
    }

    @Sendable
    static func read(_ text: String, _ known: Int?) throws -> Int {
        guard let number = Int(text) else { throw Refused(description: "no number") }
        guard number >= known ?? 0 else { throw Refused(description: "\(number) is before \(known ?? 0)") }
        return number
    }
}
