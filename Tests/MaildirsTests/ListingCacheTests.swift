import Foundation
import Mail
import Testing

@testable import Maildirs

/// The cache of listings: kept only while it provably matches.
@Suite(.timeLimit(.minutes(5))) struct ListingCacheTests {
    @Test("Every acknowledged delivery is in the next listing, however fast one follows the other")
    func fresh() async throws {
        let folder = try TestFolder()
        let store = try folder.store(margin: .zero)
        let other = try folder.store()
        for number in 0..<150 {
            _ = await (number % 2 == 0 ? store : other).deliver("x\r\n", .numbered(number))
            #expect(try await store.list().count == number + 1)
        }
    }

    @Test("A foreign delivery, a foreign rm and another store's deletion show in the next listing")
    func foreign() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let other = try folder.store()
        for number in 0..<3 { _ = await store.deliver("x\r\n", .numbered(number)) }
        #expect(try await store.list().count == 3)
        try folder.put("foreign\n", in: .alice, "new", named: "1.foreign.host")
        #expect(try await store.list().count == 4)
        try FileManager.default.removeItem(atPath: folder.path(.alice, "new/1.foreign.host"))
        let snapshot = try await store.list()
        #expect(snapshot.count == 3)
        _ = try await other.delete([1], of: snapshot)
        #expect(try await store.list().count == 2)
    }

    @Test("A mailbox that rests is listed from memory, and no more once it changed")
    func resting() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1))
        var kept = try await store.list()
        // It rests once its last change is older than the clock's granularity.
        while case let next = try await store.list(), next !== kept { kept = next }
        #expect(try await store.list() === kept)
        _ = await store.deliver("x\r\n", .numbered(2))
        let changed = try await store.list()
        #expect(changed !== kept)
        #expect(changed.count == 2)
        #expect(kept.count == 1)
    }

    @Test("A mailbox that was replaced by another one is listed anew")
    func replaced() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for mailbox in [MailboxName.alice, .bob] { _ = await store.deliver("x\r\n", .numbered(1), to: [mailbox]) }
        _ = await store.deliver("x\r\n", .numbered(2), to: [.bob])
        #expect(try await store.list(.alice).count == 1)
        try FileManager.default.removeItem(atPath: folder.path(.alice, ""))
        #expect(try await store.list(.alice).count == 0)
        try FileManager.default.moveItem(atPath: folder.path(.bob, ""), toPath: folder.path(.alice, ""))
        #expect(try await store.list(.alice).count == 2)
    }

    @Test("The least recently used goes first, and what alone passes the bound is not kept")
    func bound() {
        var cache = LRUCache<String, Int>(costMax: 10)
        cache.insert(1, for: "a", cost: 4)
        cache.insert(2, for: "b", cost: 4)
        #expect(cache.value(for: "a") == 1)
        cache.insert(3, for: "c", cost: 4)
        #expect(cache.value(for: "b") == nil)
        #expect(cache.value(for: "a") == 1)
        #expect(cache.value(for: "c") == 3)
        cache.insert(4, for: "d", cost: 11)
        #expect(cache.value(for: "d") == nil)
        #expect(cache.cost == 8)
        cache.insert(5, for: "a", cost: 10)
        #expect(cache.value(for: "a") == 5)
        #expect(cache.count == 1)
        cache.remove("a")
        #expect(cache.cost == 0)
    }
}
