import Cluster
import Foundation
import Mail
import Testing

@testable import Maildirs

/// What a comparison with another site asks a store, and has it do.
@Suite(.timeLimit(.minutes(5))) struct SpoolFillTests {
    private let b: SpoolTarget
    private let c: SpoolTarget

    init() throws {
        b = try #require(SpoolTarget(site: "b"))
        c = try #require(SpoolTarget(site: "c"))
    }

    private func store(_ folder: TestFolder, messages: Int, faults: FaultPlan? = nil) async throws -> MaildirStore {
        let store = try folder.store(faults: faults) { $0.spoolFilesMax = [b: 100] }
        for number in 1...messages { _ = await store.deliver("x \(number)\r\n", .numbered(number)) }
        return store
    }

    @Test("What a site lacks waits for it as the same files, once, and wherever a tool has moved them")
    func fill() async throws {
        let folder = try TestFolder()
        let store = try await store(folder, messages: 5)
        let snapshot = try await store.list()
        let names = folder.names(.alice, "new")
        try folder.move(.alice, from: "new/\(names[1])", to: "cur/\(names[1]):2,S")
        #expect(try await store.fill([1, 2, 4], [], snapshot, b) == 3)
        #expect(folder.spool(b, "new") == [names[1], names[2], names[4]])
        #expect(folder.inode(b, "new/\(names[4])") == folder.inode("new/\(names[4])"))
        #expect(folder.inode(b, "new/\(names[1])") == folder.inode("cur/\(names[1]):2,S"))
        #expect(try await store.fill([1, 2, 3], [], snapshot, b) == 1)
        #expect(store.gauge(ofSite: b)?.count == 4)
        #expect(folder.spool(c, "new") == [])
        let waiting = try await store.list(heldFor: b)
        #expect((0..<4).allSatisfy { waiting.sitePath(at: $0) == .origin })
        #expect(try await store.text(0, of: waiting) == store.text(1, of: store.list()))
    }

    @Test("Tombstones wait too; what was deleted since the listing does not")
    func deleted() async throws {
        let folder = try TestFolder()
        let store = try await store(folder, messages: 4)
        _ = try await store.delete([0], of: store.list())
        let snapshot = try await store.list()
        let tombstone = try #require(MessageIdentity(snapshot.tombstoneNames[0]))
        // Elsewhere there is none of that name.
        _ = try await store.delete([1], of: snapshot)
        #expect(try await store.fill([0, 1, 2], [tombstone, .numbered(77)], snapshot, b) == 3)
        #expect(folder.spool(b, "gone") == [tombstone.text])
        #expect(folder.spool(b, "new") == [folder.names(.alice, "new")[0], folder.names(.alice, "new")[1]])
    }

    @Test(
        "A message that is tombstoned when it is linked does not wait: who deleted it may have looked into the spool before"
    )
    func race() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try await store(folder, messages: 2, faults: faults.plan)
        let snapshot = try await store.list()
        // The files stay where they are, as between a deletion's tombstone and its unlinking.
        faults.set { step, _ in step == .unlink ? .fail(EIO) : nil }
        _ = try await store.delete([0], of: snapshot)
        #expect(folder.names(.alice, "new").count == 2)
        faults.set(nil)
        #expect(try await store.fill([0, 1], [], snapshot, b) == 1)
        #expect(folder.spool(b, "new").count == 1 && store.gauge(ofSite: b)?.count == 1)
        #expect(try await store.list(heldFor: b).uidls == [MessageIdentity.numbered(2).text])
    }

    @Test("What cannot be made durable is not told to wait", arguments: ["new", "gone"])
    func fault(part: String) async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try await store(folder, messages: 2, faults: faults.plan)
        _ = try await store.delete([0], of: store.list())
        let snapshot = try await store.list()
        let name = "spool/site-b/3/example.test/alice/\(part)"
        faults.set { step, found in step == .syncDirectory && found == name ? .fail(EIO) : nil }
        let tombstone = try #require(MessageIdentity(snapshot.tombstoneNames[0]))
        await #expect(throws: MaildirError.self) { try await store.fill([0], [tombstone], snapshot, b) }
    }

    @Test("A mailbox that is not there has nothing to give, and lacks everything")
    func missing() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        #expect(try await store.fill([], [], store.list(), b) == 0)
        #expect(try await store.lacks([.numbered(1), .numbered(2)]) == [true, true])
        #expect(!FileManager.default.fileExists(atPath: "\(folder.root)/mail"))
    }

    @Test("A mailbox lacks neither what it has, nor what it has deleted, nor the tombstones that it has")
    func lacks() async throws {
        let folder = try TestFolder()
        let store = try await store(folder, messages: 3)
        _ = try await store.delete([1], of: store.list())
        let tombstone = try #require(MessageIdentity(folder.names(.alice, "gone")[0]))
        try folder.put("y\n", in: .alice, "new", named: "foreign,with fields")
        let foreign = try #require(MessageIdentity(try await store.list().uidls[2]))
        let names = [.numbered(4), .numbered(3), .numbered(2), tombstone, .numbered(9), .numbered(1), foreign]
        #expect(try await store.lacks(names) == [true, false, false, false, true, false, false])
        #expect(try await store.lacks([]) == [])
        #expect(try await store.lacks([tombstone]) == [false])
    }

    @Test("What another process may not have synced yet is synced before it is told")
    func lacksDurably() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try await store(folder, messages: 1, faults: faults.plan)
        for (name, part) in [(MessageIdentity.numbered(1), "new"), (MessageIdentity.numbered(5), "gone")] {
            if part == "gone" { try folder.put("1.x\n", in: .alice, "gone", named: name.text) }
            faults.set { step, found in step == .syncDirectory && found == part ? .fail(EIO) : nil }
            await #expect(throws: MaildirError.self) { try await store.lacks([name]) }
        }
        faults.set { step, _ in step == .syncDirectory ? .fail(EIO) : nil }
        #expect(try await store.lacks([.numbered(8)]) == [true])
    }
}

extension MaildirStore {
    fileprivate func fill(
        _ messages: [Int], _ tombstones: [MessageIdentity], _ snapshot: MaildropSnapshot, _ site: SpoolTarget
    ) async throws -> Int {
        try await withCheckedContinuation { waiting in
            spool(messages: messages, tombstones: tombstones, of: snapshot, forSite: site) {
                waiting.resume(returning: $0)
            }
        }.get()
    }

    fileprivate func lacks(_ names: [MessageIdentity]) async throws -> [Bool] {
        try await withCheckedContinuation { waiting in
            lacks(names, in: .alice, partition: 3) { waiting.resume(returning: $0) }
        }.get()
    }
}
