import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// What a node gives up when others own it.
@Suite struct StoreRoomTests {
    private func result<Value: Sendable>(
        _ work: (@escaping @Sendable (Result<Value, MaildirError>) -> Void) -> Void
    ) async throws -> Value {
        try await withCheckedContinuation { done in work { done.resume(returning: $0) } }.get()
    }

    @Test("What a snapshot shows is removed, and what came since stays; empty folders go")
    func purge() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 0..<2 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let before = try await store.list()
        _ = await store.deliver("x\r\n", .numbered(2))
        #expect(try await !result { store.purge(before, then: $0) })
        #expect(try await store.list().uidls == [MessageIdentity.numbered(2).text])
        #expect(try await result { store.partitions(then: $0) } == [3])
        let rest = try await store.list()
        #expect(try await result { store.purge(rest, then: $0) })
        #expect(try await result { store.partitions(then: $0) } == [])
        _ = await store.deliver("x\r\n", .numbered(4))
        #expect(try await store.list().uidls == [MessageIdentity.numbered(4).text])
    }

    @Test("What no listing shows is left, and told")
    func purgeOddFile() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        try folder.put("x\n", in: .alice, "new", named: "two\nlines")
        let shown = try await store.list()
        #expect(shown.isEmpty)
        #expect(try await !result { store.purge(shown, then: $0) })
        #expect(folder.names(.alice, "new") == ["two\nlines"])
        try FileManager.default.removeItem(atPath: folder.path(.alice, "new/two\nlines"))
        #expect(try await result { store.purge(shown, then: $0) })
        #expect(try await result { store.partitions(then: $0) } == [])
    }

    @Test("Another node is told a listing only once its names are durable")
    func durableListing() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        _ = await store.deliver("x\r\n", .numbered(1))
        let synced = Mutex<[String]>([])
        faults.set { step, name in
            if step == .syncDirectory { synced.withLock { $0.append(name) } }
            return nil
        }
        let told = try await result { store.openDurably(.alice, partition: 3, then: $0) }
        #expect(told.uidls == [MessageIdentity.numbered(1).text])
        #expect(synced.withLock { $0 } == ["new", "cur", "gone"])
        faults.set { step, name in step == .syncDirectory && name == "new" ? .fail(EIO) : nil }
        await #expect(throws: MaildirError.self) {
            try await result { store.openDurably(.alice, partition: 3, then: $0) }
        }
    }

    @Test("Folders of partitions that the cluster does not have are nobody's", arguments: ["8", "99", "-1", "03"])
    func otherNumbers(number: String) async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let target = try #require(SpoolTarget(node: "b"))
        for top in ["mail", "spool/handoff-b"] {
            let new = "\(folder.root)/\(top)/\(number)/example.test/alice/new"
            try FileManager.default.createDirectory(atPath: new, withIntermediateDirectories: true)
            try Data("x\n".utf8).write(to: URL(fileURLWithPath: "\(new)/\(MessageIdentity.numbered(1).text)"))
        }
        #expect(try await result { store.partitions(then: $0) } == [])
        #expect(try await result { store.mailboxes(after: nil, count: 9, then: $0) }.keys == [])
        #expect(try await result { store.heldMailboxes(for: target, after: nil, count: 9, then: $0) }.keys == [])
        let partition = try #require(Int(number))
        let named = try await result { store.mailboxes(ofPartition: partition, after: nil, count: 9, then: $0) }
        #expect(named.keys == [])
    }

    @Test("A page ends although it has none where many mailboxes are passed over, and the next goes on behind them")
    func longWay() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let target = try #require(SpoolTarget(node: "b"))
        for number in 0..<1_100 {
            try FileManager.default.createDirectory(
                atPath: "\(folder.root)/spool/handoff-b/3/example.test/\(number + 1_000)",
                withIntermediateDirectories: true)
        }
        let mailbox = MailboxName.named("zoe")
        _ = await store.deliver("x\r\n", .numbered(1), to: [mailbox])
        try await result { store.hold(.numbered(1), of: mailbox, partition: 3, for: target, then: $0) }
        var pages: [MailboxPage] = []
        repeat {
            let last = pages.last?.last
            pages.append(try await result { store.heldMailboxes(for: target, after: last, count: 9, then: $0) })
        } while pages.last?.last != nil
        #expect(pages.map(\.keys.count) == [0, 0, 1])
        #expect(pages.last?.keys.map(\.mailbox) == [mailbox])
    }

    @Test("A folder that cannot be read is told, and the mailboxes beside it are too")
    func unreadable() async throws {
        let folder = try TestFolder()
        let store = try folder.store(
            faults: FaultPlan { step, name in
                step == .list && name.hasSuffix("/bad.test") ? .fail(EACCES) : nil
            })
        _ = await store.deliver("x\r\n", .numbered(1))
        let target = try #require(SpoolTarget(node: "b"))
        for top in ["mail", "spool/handoff-b"] {
            for domain in ["bad.test", "example.test"] {
                let new = "\(folder.root)/\(top)/3/\(domain)/alice/new"
                try FileManager.default.createDirectory(atPath: new, withIntermediateDirectories: true)
                try Data("x\n".utf8).write(to: URL(fileURLWithPath: "\(new)/\(MessageIdentity.numbered(1).text)"))
            }
        }
        for page in [
            try await result { store.mailboxes(after: nil, count: 9, then: $0) },
            try await result { store.mailboxes(ofPartition: 3, after: nil, count: 9, then: $0) },
            try await result { store.heldMailboxes(for: target, after: nil, count: 9, then: $0) },
        ] {
            #expect(page.keys.map(\.mailbox) == [.alice])
            #expect(page.failure?.errorNumber == EACCES)
        }
    }
}
