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

    /// Lists until two listings are the same one, and so from memory.
    private func rest(_ store: MaildirStore) async throws -> MaildropSnapshot {
        var kept = try await store.list()
        for _ in 0..<2000 {
            let next = try await store.list()
            if next === kept { return kept }
            kept = next
            try await Task.sleep(for: .milliseconds(1))
        }
        throw MaildirError.shutDown
    }

    @Test("A foreign file that is still being written is measured again")
    func growing() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        try folder.put("part\n", in: .alice, "new", named: "1.h")
        #expect(try await rest(store).octets == 6)
        let file = try #require(FileHandle(forWritingAtPath: folder.path(.alice, "new/1.h")))
        try file.seekToEnd()
        try file.write(contentsOf: Data("rest\n".utf8))
        try file.close()
        #expect(try await store.list().octets == 12)
        #expect(try await rest(store).octets == 12)
    }

    @Test("A file that may not be read is left out, and shows once it may")
    func unreadable() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        for name in ["1.h", "2.h"] { try folder.put("x\n", in: .alice, "new", named: name) }
        faults.set { step, name in step == .open && name == "new/1.h" ? .fail(EACCES) : nil }
        try await Task.sleep(for: .milliseconds(100))
        for _ in 0..<3 { #expect(try await store.list().uidls == ["2.h"]) }
        faults.set(nil)
        #expect(try await store.list().uidls == ["1.h", "2.h"])
    }

    @Test("A listing made anew reads only the foreign files that it does not know")
    func measuredOnce() async throws {
        let folder = try TestFolder()
        let counter = StepCounter()
        let store = try folder.store(faults: counter.plan)
        for number in 0..<49 { try folder.put("x\n", in: .alice, "new", named: "\(number).h") }
        try folder.put("x\n", in: .alice, "cur", named: "49.h")
        #expect(try await store.list().octets == 150)
        #expect(counter[.read] == 50)
        try folder.move(.alice, from: "new/7.h", to: "cur/7.h:2,S")
        try folder.put("x\n", in: .alice, "new", named: "50.h")
        #expect(try await store.list().octets == 153)
        #expect(counter[.read] == 51)
    }

    @Test("On a remote file system a listing is kept only after the same stamps were seen for long enough")
    func remote() async throws {
        let folder = try TestFolder()
        let store = try folder.store {
            $0.isRemote = true
            $0.remoteMargin = .milliseconds(400)
        }
        _ = await store.deliver("x\r\n", .numbered(1))
        // Its clock may be far behind this host's: the age of the stamps proves nothing.
        for part in ["new", "cur", "gone"] { folder.setAge(folder.path(.alice, part), hours: 10) }
        let start = ContinuousClock.now
        var kept = try await store.list()
        while case let next = try await store.list(), next !== kept { kept = next }
        #expect(ContinuousClock.now - start >= .milliseconds(400))
        _ = await store.deliver("x\r\n", .numbered(2))
        #expect(try await store.list().count == 2)
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
